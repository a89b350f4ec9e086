package openaigo_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func TestChatAnswersWithTextAndUsage(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	var resp *http.Response
	got, err := c.Chat.Completions.New(t.Context(), question(chatModel), option.WithResponseInto(&resp))
	if err != nil {
		t.Fatal(err)
	}
	if got.Model != chatModel || got.Choices[0].Message.Content != text || got.Choices[0].FinishReason != "stop" {
		t.Errorf("answer: %s", got.RawJSON())
	}
	u := got.Usage
	if u.PromptTokens != promptTokens || u.CompletionTokens != completionTokens ||
		u.PromptTokensDetails.CachedTokens != cachedTokens || u.CompletionTokensDetails.ReasoningTokens != reasoningTokens {
		t.Errorf("usage: %s", u.RawJSON())
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("the answer has no request id")
	}
}

func TestStreamsHaveNothingThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	declined := question(chatModel)
	declined.StreamOptions.IncludeUsage = openai.Bool(false)
	for name, p := range map[string]openai.ChatCompletionNewParams{"not asked": question(chatModel), "declined": declined} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := c.Chat.Completions.NewStreaming(t.Context(), p)
			defer stream.Close()
			got, finish := "", ""
			for stream.Next() {
				chunk := stream.Current()
				if len(chunk.Choices) != 1 || chunk.JSON.Usage.Valid() {
					t.Fatalf("a chunk that the client did not ask for: %s", chunk.RawJSON())
				}
				got += chunk.Choices[0].Delta.Content
				finish += chunk.Choices[0].FinishReason
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			if got != text || finish != "stop" {
				t.Errorf("streamed %q, finish %q", got, finish)
			}
		})
	}
}

func TestStreamsHaveUsageLastWhenAskedFor(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	p := question(chatModel)
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	var last openai.ChatCompletionChunk
	for stream.Next() {
		last = stream.Current()
		if !all.AddChunk(last) {
			t.Fatalf("the SDK cannot add the chunk %s", last.RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if len(last.Choices) != 0 || last.Usage.PromptTokens != promptTokens || last.Usage.CompletionTokens != completionTokens {
		t.Errorf("last chunk: %s", last.RawJSON())
	}
	if all.Choices[0].Message.Content != text {
		t.Errorf("streamed %q", all.Choices[0].Message.Content)
	}
}

func TestToolCallsPassThroughUnchanged(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		answer, err := c.Chat.Completions.New(t.Context(), withTools(question(toolsModel)))
		if err != nil {
			t.Fatal(err)
		}
		var got []call
		for _, tc := range answer.Choices[0].Message.ToolCalls {
			got = append(got, call{tc.ID, tc.Function.Name, tc.Function.Arguments})
		}
		if !slices.Equal(got, calls()) {
			t.Errorf("tool calls %q, want %q", got, calls())
		}
	})
	t.Run("streamed", func(t *testing.T) {
		t.Parallel()
		stream := c.Chat.Completions.NewStreaming(t.Context(), withTools(question(toolsModel)))
		defer stream.Close()
		got := make([]call, len(calls()))
		for stream.Next() {
			for _, part := range stream.Current().Choices[0].Delta.ToolCalls {
				g := &got[part.Index]
				g.ID += part.ID
				g.Name += part.Function.Name
				g.Arguments += part.Function.Arguments
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, calls()) {
			t.Errorf("tool calls %q, want %q", got, calls())
		}
	})
	t.Run("and their results go back", func(t *testing.T) {
		t.Parallel()
		first, err := c.Chat.Completions.New(t.Context(), withTools(question(toolsModel)))
		if err != nil {
			t.Fatal(err)
		}
		next := withTools(question(chatModel))
		next.Messages = append(next.Messages, first.Choices[0].Message.ToParam())
		for _, tc := range first.Choices[0].Message.ToolCalls {
			next.Messages = append(next.Messages, openai.ToolMessage(`{"ok":true}`, tc.ID))
		}
		answer, err := c.Chat.Completions.New(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Choices[0].Message.Content != text {
			t.Errorf("answer %q", answer.Choices[0].Message.Content)
		}
	})
}

func TestAStreamCanBeLeftInTheMiddle(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := c.Chat.Completions.NewStreaming(ctx, question(foreverModel))
	defer stream.Close()
	for n := 0; stream.Next(); n++ {
		if n == 3 {
			cancel()
		}
		if n > 1000 {
			t.Fatal("the stream goes on although the client left")
		}
	}
	if stream.Err() == nil {
		t.Error("the stream came to a good end although the client left")
	}
	if _, err := c.Chat.Completions.New(t.Context(), question(chatModel)); err != nil {
		t.Errorf("the same client afterwards: %v", err)
	}
}

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	got, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: embedModel,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 2 || got.Usage.PromptTokens != 6 {
		t.Fatalf("answer: %s", got.RawJSON())
	}
	for i, d := range got.Data {
		if d.Index != int64(i) || !slices.Equal(d.Embedding, []float64{0.5, -0.25, 0.125}) {
			t.Errorf("embedding %d: %s", i, d.RawJSON())
		}
	}
}
