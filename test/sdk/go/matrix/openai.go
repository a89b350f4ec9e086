package main

import (
	"context"
	"errors"
	"os"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

const openaiModule = "github.com/openai/openai-go/v3"

func openaiWith(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(os.Getenv("HALLEY_ROOT_URL")+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

func openaiError(err error) (apiError, error) {
	e, ok := errors.AsType[*openai.Error](err)
	if !ok {
		return apiError{}, notTheirs(err)
	}
	return apiError{e.StatusCode, e.RawJSON()}, nil
}

func notTheirs(err error) error {
	if err == nil {
		return errors.New("is no error")
	}
	return errors.Join(errors.New("is no error of the SDK's"), err)
}

// left reads a stream that has no end for a little while.
func left(next func() bool, leave func()) error {
	n := 0
	for next() {
		if n++; n == 5 {
			leave()
		}
		if n > 1000 {
			break
		}
	}
	if n < 5 || n > 1000 {
		return same("events of a stream that was left", n, "a few")
	}
	return nil
}

// chatClient is openai-go at chat completions.
func chatClient() client {
	c := openaiWith(os.Getenv("HALLEY_API_KEY"))
	ask := func(at place, parts ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionNewParams {
		return openai.ChatCompletionNewParams{Model: at.model, Messages: parts}
	}
	create := c.Chat.Completions.New
	streamed := func(ctx context.Context, p openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
		stream := c.Chat.Completions.NewStreaming(ctx, p)
		defer stream.Close()
		var all openai.ChatCompletionAccumulator
		for stream.Next() {
			if !all.AddChunk(stream.Current()) {
				return nil, errors.New("the SDK cannot add the chunk " + stream.Current().RawJSON())
			}
		}
		return &all.ChatCompletion, stream.Err()
	}
	usageOf := func(u openai.CompletionUsage) usage {
		return usage{u.PromptTokens, u.PromptTokensDetails.CachedTokens, u.CompletionTokens, u.CompletionTokensDetails.ReasoningTokens}
	}
	said := func(got *openai.ChatCompletion, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(same("text", got.Choices[0].Message.Content, text), same("finish reason", got.Choices[0].FinishReason, "stop"))
	}
	return client{"openai-go, chat", openaiModule, "chat", []feature{
		{"text", func(ctx context.Context, at place) error {
			got, err := create(ctx, ask(at, openai.UserMessage("[text]")))
			if err != nil {
				return err
			}
			return errors.Join(said(got, nil), used(usageOf(got.Usage)), same("model", got.Model, at.model))
		}},
		{"stream", func(ctx context.Context, at place) error {
			p := ask(at, openai.UserMessage("[text]"))
			p.StreamOptions.IncludeUsage = openai.Bool(true)
			got, err := streamed(ctx, p)
			if err != nil {
				return err
			}
			// The accumulator adds up the details of usage only in part.
			return errors.Join(said(got, nil), same("prompt", got.Usage.PromptTokens, int64(19)), same("completion", got.Usage.CompletionTokens, int64(23)))
		}},
		{"tools", func(ctx context.Context, at place) error {
			for _, first := range []func(context.Context, openai.ChatCompletionNewParams) (*openai.ChatCompletion, error){
				func(ctx context.Context, p openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
					return create(ctx, p)
				}, streamed,
			} {
				p := ask(at, openai.UserMessage("[tools]"))
				for _, name := range tools() {
					p.Tools = append(p.Tools, openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: name, Parameters: parameters(name)}))
				}
				got, err := first(ctx, p)
				if err != nil {
					return err
				}
				message := got.Choices[0].Message
				p.Messages = append(p.Messages, message.ToParam())
				var called []string
				for _, tc := range message.ToolCalls {
					called = append(called, tc.Function.Name)
					result, err := runTool(tc.Function.Name, tc.Function.Arguments)
					if err != nil {
						return err
					}
					p.Messages = append(p.Messages, openai.ToolMessage(result, tc.ID))
				}
				if err := errors.Join(same("calls", called, tools()), said(create(ctx, p))); err != nil {
					return err
				}
			}
			return nil
		}},
		{"image", func(ctx context.Context, at place) error {
			return said(create(ctx, ask(at, openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
				openai.TextContentPart("[image]"),
				openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + image}),
			}))))
		}},
		{"json", func(ctx context.Context, at place) error {
			p := ask(at, openai.UserMessage("[json]"))
			p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
				JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "answer", Schema: schema(), Strict: openai.Bool(true)},
			}
			got, err := create(ctx, p)
			if err != nil {
				return err
			}
			return sameJSON("answer", got.Choices[0].Message.Content, answer)
		}},
		// The SDK knows no thoughts, and gives back only what it knows.
		{"thinking", func(ctx context.Context, at place) error {
			p := ask(at, openai.UserMessage("[think]"))
			p.ReasoningEffort = shared.ReasoningEffortLow
			got, err := create(ctx, p)
			if err != nil {
				return err
			}
			extra, want := got.Choices[0].Message.JSON.ExtraFields["reasoning_content"].Raw(), ""
			if at.dialect != "responses" { // which has them for verified organizations alone
				want = `"` + thoughts + `"`
			}
			return errors.Join(said(got, nil), same("reasoning_content", extra, want), same("reasoning", got.Usage.CompletionTokensDetails.ReasoningTokens, int64(5)))
		}},
		{"abort", func(ctx context.Context, at place) error {
			ctx, leave := context.WithCancel(ctx)
			defer leave()
			stream := c.Chat.Completions.NewStreaming(ctx, ask(at, openai.UserMessage("[forever]")))
			defer stream.Close()
			return left(stream.Next, leave)
		}},
		{"broken", func(ctx context.Context, at place) error {
			stream := c.Chat.Completions.NewStreaming(ctx, ask(at, openai.UserMessage("[break]")))
			defer stream.Close()
			got := ""
			for stream.Next() {
				for _, choice := range stream.Current().Choices {
					got += choice.Delta.Content
				}
			}
			return broken(got, stream.Err())
		}},
		{"errors", func(ctx context.Context, at place) error {
			return wantErrors(at, func(key, model string) (apiError, error) {
				c := openaiWith(key)
				_, err := c.Chat.Completions.New(ctx, ask(place{model: model}, openai.UserMessage("[text]")))
				return openaiError(err)
			})
		}},
	}}
}

// broken holds a stream that broke off against what it must be.
func broken(got string, err error) error {
	if err == nil {
		return errors.New("the stream ended as if it were whole")
	}
	return same("text before the stream broke off", got, text)
}

// responsesClient is openai-go at responses.
func responsesClient() client {
	c := openaiWith(os.Getenv("HALLEY_API_KEY"))
	ask := func(at place, items ...responses.ResponseInputItemUnionParam) responses.ResponseNewParams {
		return responses.ResponseNewParams{Model: at.model, Store: openai.Bool(false), Input: responses.ResponseNewParamsInputUnion{OfInputItemList: items}}
	}
	say := func(words string) responses.ResponseInputItemUnionParam {
		return responses.ResponseInputItemParamOfMessage(words, responses.EasyInputMessageRoleUser)
	}
	create := func(ctx context.Context, p responses.ResponseNewParams) (*responses.Response, error) {
		return c.Responses.New(ctx, p)
	}
	// streamed gives the final response and hears all events.
	streamed := func(ctx context.Context, p responses.ResponseNewParams, hear func(responses.ResponseStreamEventUnion)) (*responses.Response, error) {
		stream := c.Responses.NewStreaming(ctx, p)
		defer stream.Close()
		var last *responses.Response
		number := int64(0)
		for stream.Next() {
			e := stream.Current()
			if e.SequenceNumber != number {
				return nil, same("the event's number", e.SequenceNumber, number)
			}
			number++
			hear(e)
			if e.Type == "response.completed" {
				last = &e.Response
			}
		}
		if stream.Err() == nil && last == nil {
			return nil, errors.New("the stream has no response.completed")
		}
		return last, stream.Err()
	}
	deaf := func(responses.ResponseStreamEventUnion) {}
	usageOf := func(u responses.ResponseUsage) usage {
		return usage{u.InputTokens, u.InputTokensDetails.CachedTokens, u.OutputTokens, u.OutputTokensDetails.ReasoningTokens}
	}
	said := func(got *responses.Response, err error) error {
		if err != nil {
			return err
		}
		return errors.Join(same("text", got.OutputText(), text), same("status", string(got.Status), "completed"))
	}
	// back are the output's items as input.
	back := func(got *responses.Response) (items []responses.ResponseInputItemUnionParam) {
		for _, item := range got.Output {
			switch item.Type {
			case "message":
				items = append(items, responses.ResponseInputItemUnionParam{OfOutputMessage: new(item.AsMessage().ToParam())})
			case "function_call":
				items = append(items, responses.ResponseInputItemUnionParam{OfFunctionCall: new(item.AsFunctionCall().ToParam())})
			case "reasoning":
				items = append(items, responses.ResponseInputItemUnionParam{OfReasoning: new(item.AsReasoning().ToParam())})
			}
		}
		return items
	}
	summary := func(got *responses.Response) (all string) {
		for _, item := range got.Output {
			for _, part := range item.Summary {
				all += part.Text
			}
		}
		return all
	}
	thinking := func(p responses.ResponseNewParams) responses.ResponseNewParams {
		p.Reasoning = shared.ReasoningParam{Effort: shared.ReasoningEffortLow, Summary: shared.ReasoningSummaryAuto}
		p.Include = []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent}
		return p
	}
	return client{"openai-go, responses", openaiModule, "responses", []feature{
		{"text", func(ctx context.Context, at place) error {
			got, err := create(ctx, ask(at, say("[text]")))
			if err != nil {
				return err
			}
			return errors.Join(said(got, nil), used(usageOf(got.Usage)), same("model", got.Model, at.model))
		}},
		{"stream", func(ctx context.Context, at place) error {
			deltas := ""
			got, err := streamed(ctx, ask(at, say("[text]")), func(e responses.ResponseStreamEventUnion) {
				if e.Type == "response.output_text.delta" {
					deltas += e.Delta
				}
			})
			if err != nil {
				return err
			}
			return errors.Join(said(got, nil), same("deltas", deltas, text), used(usageOf(got.Usage)))
		}},
		{"tools", func(ctx context.Context, at place) error {
			for _, first := range []func(context.Context, responses.ResponseNewParams) (*responses.Response, error){
				create, func(ctx context.Context, p responses.ResponseNewParams) (*responses.Response, error) {
					return streamed(ctx, p, deaf)
				},
			} {
				p := ask(at, say("[tools]"))
				for _, name := range tools() {
					p.Tools = append(p.Tools, responses.ToolParamOfFunction(name, parameters(name), false))
				}
				got, err := first(ctx, p)
				if err != nil {
					return err
				}
				items := append(p.Input.OfInputItemList, back(got)...)
				var called []string
				for _, item := range got.Output {
					if item.Type != "function_call" {
						continue
					}
					called = append(called, item.Name)
					result, err := runTool(item.Name, item.Arguments.OfString)
					if err != nil {
						return err
					}
					output := responses.ResponseInputItemParamOfFunctionCallOutput(result)
					output.OfFunctionCallOutput.CallID = openai.String(item.CallID)
					items = append(items, output)
				}
				p.Input.OfInputItemList = items
				if err := errors.Join(same("calls", called, tools()), said(create(ctx, p))); err != nil {
					return err
				}
			}
			return nil
		}},
		{"image", func(ctx context.Context, at place) error {
			shown := responses.ResponseInputContentParamOfInputImage(responses.ResponseInputImageDetailAuto)
			shown.OfInputImage.ImageURL = openai.String("data:image/png;base64," + image)
			return said(create(ctx, ask(at, responses.ResponseInputItemParamOfMessage(
				responses.ResponseInputMessageContentListParam{responses.ResponseInputContentParamOfInputText("[image]"), shown}, responses.EasyInputMessageRoleUser))))
		}},
		{"json", func(ctx context.Context, at place) error {
			p := ask(at, say("[json]"))
			p.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("answer", schema())
			got, err := create(ctx, p)
			if err != nil {
				return err
			}
			return sameJSON("answer", got.OutputText(), answer)
		}},
		{"thinking", func(ctx context.Context, at place) error {
			got, err := create(ctx, thinking(ask(at, say("[think]"))))
			if err != nil {
				return err
			}
			items := append([]responses.ResponseInputItemUnionParam{say("[think]")}, back(got)...)
			again, err := create(ctx, thinking(ask(at, append(items, say("[recall]"))...)))
			if err != nil {
				return err
			}
			deltas := ""
			inStream, err := streamed(ctx, thinking(ask(at, say("[think]"))), func(e responses.ResponseStreamEventUnion) {
				if e.Type == "response.reasoning_summary_text.delta" {
					deltas += e.Delta
				}
			})
			if err != nil {
				return err
			}
			return errors.Join(said(got, nil), same("thoughts", summary(got), thoughts), signed("responses", at, again.OutputText()),
				same("streamed thoughts", deltas, thoughts), same("thoughts at the end", summary(inStream), thoughts))
		}},
		{"abort", func(ctx context.Context, at place) error {
			ctx, leave := context.WithCancel(ctx)
			defer leave()
			stream := c.Responses.NewStreaming(ctx, ask(at, say("[forever]")))
			defer stream.Close()
			return left(stream.Next, leave)
		}},
		{"broken", func(ctx context.Context, at place) error {
			return brokenResponse(c.Responses.NewStreaming(ctx, ask(at, say("[break]"))))
		}},
		{"errors", func(ctx context.Context, at place) error {
			return wantErrors(at, func(key, model string) (apiError, error) {
				c := openaiWith(key)
				_, err := c.Responses.New(ctx, ask(place{model: model}, say("[text]")))
				return openaiError(err)
			})
		}},
	}}
}

// brokenResponse reads a stream that breaks off: the SDK makes an error of the
// event "error" alone; a response that failed is one of its events.
func brokenResponse(stream *ssestream.Stream[responses.ResponseStreamEventUnion]) error {
	defer stream.Close()
	got := ""
	var failed error
	for stream.Next() {
		switch e := stream.Current(); e.Type {
		case "response.output_text.delta":
			got += e.Delta
		case "response.failed":
			failed = errors.New(e.Response.Error.Message)
		case "error":
			failed = errors.New(e.Message)
		}
	}
	return broken(got, errors.Join(failed, stream.Err()))
}
