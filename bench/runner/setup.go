package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// setUp runs the steps of a setup against the target at url and adds what they
// save to vars.
func setUp(ctx context.Context, url string, steps []step, vars map[string]string) error {
	var cookies []*http.Cookie
	for _, s := range steps {
		answer, set, err := s.run(ctx, url, vars, cookies)
		if err == nil {
			err = save(answer, s.Save, vars)
		}
		if err != nil {
			return fmt.Errorf("setup: %s %s: %w", s.Method, s.Path, err)
		}
		cookies = append(cookies, set...)
	}
	return nil
}

// run sends one step. Cookies are carried by hand: a jar would keep Secure
// ones from a plain http target.
func (s step) run(ctx context.Context, url string, vars map[string]string, cookies []*http.Cookie) ([]byte, []*http.Cookie, error) {
	path, err := expand(s.Path, vars)
	if err != nil {
		return nil, nil, err
	}
	body, err := expand(string(s.Body), vars)
	if err != nil {
		return nil, nil, err
	}
	headers, err := expandAll(s.Headers, vars)
	if err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, s.Method, url+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, nil, fmt.Errorf("%s: %s", response.Status, answer)
	}
	return answer, response.Cookies(), nil
}

// save looks the dotted paths up in a JSON answer.
func save(answer []byte, paths, vars map[string]string) error {
	if len(paths) == 0 {
		return nil
	}
	var root any
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber() // ids must not turn into 1e+06
	if err := decoder.Decode(&root); err != nil {
		return err
	}
	for name, path := range paths {
		value := root
		for member := range strings.SplitSeq(path, ".") {
			object, _ := value.(map[string]any)
			value = object[member]
		}
		switch value := value.(type) {
		case string:
			vars[name] = value
		case json.Number:
			vars[name] = value.String()
		default:
			return fmt.Errorf("the answer has no text or number at %s", path)
		}
	}
	return nil
}
