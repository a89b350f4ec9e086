package main

import (
	"context"
	"errors"
	"os"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

func anthropicWith(key string) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(os.Getenv("HALLEY_ROOT_URL")), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// messagesClient is anthropic-sdk-go.
func messagesClient() client {
	c := anthropicWith(os.Getenv("HALLEY_API_KEY"))
	ask := func(at place, turns ...anthropic.MessageParam) anthropic.MessageNewParams {
		return anthropic.MessageNewParams{Model: at.model, MaxTokens: 4096, Messages: turns}
	}
	say := func(words string) anthropic.MessageParam {
		return anthropic.NewUserMessage(anthropic.NewTextBlock(words))
	}
	create := func(ctx context.Context, p anthropic.MessageNewParams) (*anthropic.Message, error) {
		return c.Messages.New(ctx, p)
	}
	streamed := func(ctx context.Context, p anthropic.MessageNewParams) (*anthropic.Message, error) {
		stream := c.Messages.NewStreaming(ctx, p)
		defer stream.Close()
		var all anthropic.Message
		for stream.Next() {
			if err := all.Accumulate(stream.Current()); err != nil {
				return nil, err
			}
		}
		return &all, stream.Err()
	}
	textOf := func(m *anthropic.Message) (words, thought string) {
		for _, b := range m.Content {
			words += b.Text
			thought += b.Thinking
		}
		return words, thought
	}
	said := func(got *anthropic.Message, err error) error {
		if err != nil {
			return err
		}
		words, _ := textOf(got)
		u := got.Usage
		return errors.Join(same("text", words, text), same("stop reason", string(got.StopReason), "end_turn"),
			used(usage{u.InputTokens + u.CacheReadInputTokens, u.CacheReadInputTokens, u.OutputTokens, 5}))
	}
	ways := []func(context.Context, anthropic.MessageNewParams) (*anthropic.Message, error){create, streamed}
	return client{"anthropic-sdk-go", "github.com/anthropics/anthropic-sdk-go", "messages", []feature{
		{"text", func(ctx context.Context, at place) error {
			got, err := create(ctx, ask(at, say("[text]")))
			if err != nil {
				return err
			}
			return errors.Join(said(got, nil), same("model", got.Model, at.model))
		}},
		{"stream", func(ctx context.Context, at place) error { return said(streamed(ctx, ask(at, say("[text]")))) }},
		{"tools", func(ctx context.Context, at place) error {
			for _, first := range ways {
				p := ask(at, say("[tools]"))
				for _, name := range tools() {
					p.Tools = append(p.Tools, anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: parameters(name)["properties"]}, name))
				}
				got, err := first(ctx, p)
				if err != nil {
					return err
				}
				var called []string
				var results []anthropic.ContentBlockParamUnion
				for _, b := range got.Content {
					if b.Type != "tool_use" {
						continue
					}
					called = append(called, b.Name)
					result, err := runTool(b.Name, string(b.Input))
					if err != nil {
						return err
					}
					results = append(results, anthropic.NewToolResultBlock(b.ID, result, false))
				}
				p.Messages = append(p.Messages, got.ToParam(), anthropic.NewUserMessage(results...))
				if err := errors.Join(same("calls", called, tools()), same("stop reason", string(got.StopReason), "tool_use"), said(create(ctx, p))); err != nil {
					return err
				}
			}
			return nil
		}},
		{"image", func(ctx context.Context, at place) error {
			return said(create(ctx, ask(at, anthropic.NewUserMessage(anthropic.NewImageBlockBase64("image/png", image), anthropic.NewTextBlock("[image]")))))
		}},
		{"json", func(ctx context.Context, at place) error {
			p := ask(at, say("[json]"))
			p.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: schema()}
			got, err := create(ctx, p)
			if err != nil {
				return err
			}
			words, _ := textOf(got)
			return sameJSON("answer", words, answer)
		}},
		{"thinking", func(ctx context.Context, at place) error {
			for _, way := range ways {
				p := ask(at, say("[think]"))
				p.Thinking = anthropic.ThinkingConfigParamOfEnabled(1024)
				got, err := way(ctx, p)
				if err != nil {
					return err
				}
				p.Messages = append(p.Messages, got.ToParam(), say("[recall]"))
				again, err := create(ctx, p)
				if err != nil {
					return err
				}
				_, thought := textOf(got)
				recalled, _ := textOf(again)
				if err := errors.Join(said(got, nil), same("thoughts", thought, thoughts), signed("messages", at, recalled)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"abort", func(ctx context.Context, at place) error {
			ctx, leave := context.WithCancel(ctx)
			defer leave()
			stream := c.Messages.NewStreaming(ctx, ask(at, say("[forever]")))
			defer stream.Close()
			return left(stream.Next, leave)
		}},
		{"broken", func(ctx context.Context, at place) error {
			stream := c.Messages.NewStreaming(ctx, ask(at, say("[break]")))
			defer stream.Close()
			got := ""
			for stream.Next() {
				got += stream.Current().Delta.Text
			}
			return broken(got, stream.Err())
		}},
		{"errors", func(ctx context.Context, at place) error {
			return wantErrors(at, func(key, model string) (apiError, error) {
				c := anthropicWith(key)
				_, err := c.Messages.New(ctx, ask(place{model: model}, say("[text]")))
				e, ok := errors.AsType[*anthropic.Error](err)
				if !ok {
					return apiError{}, notTheirs(err)
				}
				return apiError{e.StatusCode, e.Error()}, nil
			})
		}},
	}}
}
