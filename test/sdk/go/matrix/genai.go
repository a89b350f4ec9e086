package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"

	"google.golang.org/genai"
)

func genaiWith(ctx context.Context, key string) (*genai.Client, error) {
	return genai.NewClient(ctx, &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI, HTTPOptions: genai.HTTPOptions{BaseURL: os.Getenv("HALLEY_ROOT_URL")},
	})
}

// genaiClient is google.golang.org/genai.
func genaiClient(ctx context.Context) (client, error) {
	c, err := genaiWith(ctx, os.Getenv("HALLEY_API_KEY"))
	if err != nil {
		return client{}, err
	}
	type way func(ctx context.Context, at place, contents []*genai.Content, config *genai.GenerateContentConfig) (parts []*genai.Part, last *genai.GenerateContentResponse, err error)
	partsOf := func(r *genai.GenerateContentResponse) []*genai.Part {
		if len(r.Candidates) == 0 || r.Candidates[0].Content == nil {
			return nil
		}
		return r.Candidates[0].Content.Parts
	}
	create := func(ctx context.Context, at place, contents []*genai.Content, config *genai.GenerateContentConfig) ([]*genai.Part, *genai.GenerateContentResponse, error) {
		got, err := c.Models.GenerateContent(ctx, at.model, contents, config)
		if err != nil {
			return nil, nil, err
		}
		return partsOf(got), got, nil
	}
	streamed := func(ctx context.Context, at place, contents []*genai.Content, config *genai.GenerateContentConfig) (parts []*genai.Part, last *genai.GenerateContentResponse, err error) {
		for chunk, err := range c.Models.GenerateContentStream(ctx, at.model, contents, config) {
			if err != nil {
				return parts, last, err
			}
			parts, last = append(parts, partsOf(chunk)...), chunk
		}
		return parts, last, nil
	}
	textOf := func(parts []*genai.Part) (words, thought string) {
		for _, p := range parts {
			if p.Thought {
				thought += p.Text
			} else {
				words += p.Text
			}
		}
		return words, thought
	}
	said := func(parts []*genai.Part, last *genai.GenerateContentResponse, err error) error {
		if err != nil {
			return err
		}
		words, _ := textOf(parts)
		u := last.UsageMetadata
		return errors.Join(same("text", words, text), same("finish reason", string(last.Candidates[0].FinishReason), "STOP"), used(usage{
			int64(u.PromptTokenCount), int64(u.CachedContentTokenCount), int64(u.CandidatesTokenCount + u.ThoughtsTokenCount), int64(u.ThoughtsTokenCount),
		}))
	}
	thinking := &genai.GenerateContentConfig{ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true, ThinkingBudget: genai.Ptr[int32](1024)}}
	model := func(parts []*genai.Part) *genai.Content { return genai.NewContentFromParts(parts, genai.RoleModel) }

	return client{"google.golang.org/genai", "google.golang.org/genai", "gemini", []feature{
		{"text", func(ctx context.Context, at place) error { return said(create(ctx, at, genai.Text("[text]"), nil)) }},
		{"stream", func(ctx context.Context, at place) error { return said(streamed(ctx, at, genai.Text("[text]"), nil)) }},
		{"tools", func(ctx context.Context, at place) error {
			tool := &genai.Tool{}
			for _, name := range tools() {
				tool.FunctionDeclarations = append(tool.FunctionDeclarations, &genai.FunctionDeclaration{Name: name, ParametersJsonSchema: parameters(name)})
			}
			config := &genai.GenerateContentConfig{Tools: []*genai.Tool{tool}}
			for _, first := range []way{create, streamed} {
				contents := genai.Text("[tools]")
				parts, _, err := first(ctx, at, contents, config)
				if err != nil {
					return err
				}
				var called []string
				var results []*genai.Part
				for _, p := range parts {
					if p.FunctionCall == nil {
						continue
					}
					called = append(called, p.FunctionCall.Name)
					arguments, err := json.Marshal(p.FunctionCall.Args)
					if err != nil {
						return err
					}
					result, err := runTool(p.FunctionCall.Name, string(arguments))
					if err != nil {
						return err
					}
					answered := genai.NewPartFromFunctionResponse(p.FunctionCall.Name, map[string]any{"output": result})
					answered.FunctionResponse.ID = p.FunctionCall.ID
					results = append(results, answered)
				}
				contents = append(contents, model(parts), genai.NewContentFromParts(results, genai.RoleUser))
				if err := errors.Join(same("calls", called, tools()), said(create(ctx, at, contents, config))); err != nil {
					return err
				}
			}
			return nil
		}},
		{"image", func(ctx context.Context, at place) error {
			data, err := base64.StdEncoding.DecodeString(image)
			if err != nil {
				return err
			}
			shown := genai.NewContentFromParts([]*genai.Part{genai.NewPartFromText("[image]"), genai.NewPartFromBytes(data, "image/png")}, genai.RoleUser)
			return said(create(ctx, at, []*genai.Content{shown}, nil))
		}},
		{"json", func(ctx context.Context, at place) error {
			parts, _, err := create(ctx, at, genai.Text("[json]"), &genai.GenerateContentConfig{ResponseMIMEType: "application/json", ResponseJsonSchema: schema()})
			if err != nil {
				return err
			}
			words, _ := textOf(parts)
			return sameJSON("answer", words, answer)
		}},
		{"thinking", func(ctx context.Context, at place) error {
			for _, first := range []way{create, streamed} {
				contents := genai.Text("[think]")
				parts, last, err := first(ctx, at, contents, thinking)
				if err != nil {
					return err
				}
				again, _, err := create(ctx, at, append(contents, model(parts), genai.Text("[recall]")[0]), thinking)
				if err != nil {
					return err
				}
				_, thought := textOf(parts)
				recalled, _ := textOf(again)
				if err := errors.Join(said(parts, last, nil), same("thoughts", thought, thoughts), signed("gemini", at, recalled)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"abort", func(ctx context.Context, at place) error {
			ctx, leave := context.WithCancel(ctx)
			defer leave()
			n := 0
			for _, err := range c.Models.GenerateContentStream(ctx, at.model, genai.Text("[forever]"), nil) {
				if n++; n == 5 {
					leave()
				}
				if err != nil || n > 1000 {
					break
				}
			}
			if n < 5 || n > 1000 {
				return same("events of a stream that was left", n, "a few")
			}
			return nil
		}},
		{"broken", func(ctx context.Context, at place) error {
			parts, _, err := streamed(ctx, at, genai.Text("[break]"), nil)
			words, _ := textOf(parts)
			if _, ok := errors.AsType[genai.APIError](err); err != nil && !ok {
				return notTheirs(err)
			}
			return broken(words, err)
		}},
		{"errors", func(ctx context.Context, at place) error {
			return wantErrors(at, func(key, model string) (apiError, error) {
				c, err := genaiWith(ctx, key)
				if err != nil {
					return apiError{}, err
				}
				_, err = c.Models.GenerateContent(ctx, model, genai.Text("[text]"), nil)
				e, ok := errors.AsType[genai.APIError](err)
				if !ok {
					return apiError{}, notTheirs(err)
				}
				return apiError{e.Code, e.Message}, nil
			})
		}},
	}}, nil
}
