package hardening_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"halley/test/harness"
)

// jsonless are bodies that are no JSON object, and objects that are none any
// more.
func jsonless() map[string]string {
	deep := 100_000
	return map[string]string{
		"nothing": "", "blanks": " \n\t ", "null": "null", "a list": `[{"name":"x","model":"script-chat"}]`, "a text": `"name"`, "a number": "5", "a word": "true",
		"cut in a text": `{"name":"x`, "cut in a member": `{"name":`, "cut before the end": `{"name":"x"`, "cut in an escape": `{"name":"\u00`,
		"not UTF-8": "{\"name\":\"\xff\xfe\",\"model\":\"\xc3\x28\"}", "not UTF-8 in a name": "{\"\xff\":1}", "an overlong slash": "{\"name\":\"\xc0\xaf\"}", "half a surrogate in UTF-8": "{\"name\":\"\xed\xa0\x80\"}",
		"UTF-16": "\xff\xfe{\x00}\x00", "a byte order mark": "\xef\xbb\xbf{\"name\":\"x\"}", "NUL": "{\"name\":\"a\x00b\"}", "a control character": "{\"name\":\"a\x1fb\"}",
		"lists 100,000 deep": `{"model":"script-chat","name":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}", "objects 100,000 deep": strings.Repeat(`{"a":`, deep) + "1" + strings.Repeat("}", deep),
		"lists without end": `{"name":` + strings.Repeat("[", deep), "two objects": `{"name":"x"} {"name":"y"}`, "something behind it": `{"name":"x"}]`, "a comment": `{/*x*/"name":"x"}`,
		"single quotes": `{'name':'x'}`, "a closing comma": `{"name":"x",}`, "Infinity": `{"name":Infinity}`, "a plus": `{"name":+1}`, "a leading zero": `{"name":01}`,
		"a form": "name=x&model=script-chat", "XML": "<name>x</name>", "several parts": "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx\r\n--x--\r\n",
	}
}

// bodyOptional reports whether no body at all asks for what is usual.
func bodyOptional(r route) bool {
	switch r.template {
	case "/api/channel/{id}/test", "/api/user/identity/{id}", "/api/user/oidc/{name}/link", "/api/user/passkey/begin", "/api/user/passkey/{id}", "/api/user/totp":
		return true
	}
	return false
}

func badBodies(t *testing.T, w *world) {
	for name, body := range jsonless() {
		for _, path := range []string{"/v1/chat/completions", "/v1/embeddings"} {
			got := w.ask(t, "POST", path, bearer(w.key), body)
			if r := openAI.mustRefuse(t, path+" with "+name, got, 400); r.code != "invalid_request" {
				t.Errorf("%s with %s: code %q, want invalid_request", path, name, r.code)
			}
		}
		for _, r := range w.routes {
			if !r.body || (body == "" && bodyOptional(r)) {
				continue
			}
			what := r.method + " " + r.template + " with " + name
			if r.public() {
				envelope.mustRefuse(t, what, w.ask(t, r.method, r.path, nil, body), 400)
				continue
			}
			envelope.mustRefuse(t, what, w.ask(t, r.method, r.path, w.asRoot(), body), 400)
		}
	}
	// Nothing is unpacked: a few bytes may be gigabytes.
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte(`{"model":"script-chat","name":"x"}`)) // into memory
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	for path, header := range map[string]http.Header{"/v1/chat/completions": bearer(w.key), "/api/token/": w.asRoot()} {
		header.Set("Content-Encoding", "gzip")
		map[bool]shape{true: openAI, false: envelope}[path[1] == 'v'].mustRefuse(t, path+" packed", w.ask(t, "POST", path, header, packed.String()), 400, 415)
	}
	for _, version := range []string{`"x"`, `""`, "-", "99999999999999999999", `"1", "2"`, `*, "1"`, strings.Repeat(`"1", `, 1000), `W/`} {
		header := w.asRoot()
		header.Set("If-Match", version)
		envelope.mustRefuse(t, "If-Match: "+version, w.ask(t, "PUT", "/api/token/", header, fmt.Sprintf(`{"id":%d,"name":"renamed"}`, w.rootKey.ID)), 400, 412)
	}
	// Records of refused requests are there and cost nothing.
	rows := w.server.Root.Logs(t, fmt.Sprintf("key_id=%d&status=400", w.key.ID), len(jsonless()))
	for _, row := range rows {
		if row.Quota != "0" || row.ErrorCode != "invalid_request" || row.UsageSource != "none" {
			t.Errorf("record of a body that cannot be read: %+v", row)
		}
	}
}

const (
	mib       = 1 << 20
	modelMost = 64 * mib
)

func badSizes(t *testing.T, w *world) {
	large := int64(65 * mib)
	doors := []struct {
		method, path, credential string
		shape                    shape
		most                     int64
	}{
		{"POST", "/v1/chat/completions", "Bearer " + w.key.Key, openAI, modelMost},
		{"POST", "/v1/embeddings", "Bearer " + w.key.Key, openAI, modelMost},
		{"POST", "/api/token/", w.alice.Authorization, envelope, mib},
		{"PATCH", "/api/user/self", w.alice.Authorization, envelope, mib},
		{"PUT", "/api/price/hostile-model", w.server.RootPAT, envelope, mib},
		{"POST", "/api/user/login", "", envelope, mib},
	}
	for _, door := range doors {
		head := fmt.Sprintf("%s %s HTTP/1.1\nHost: halley\nContent-Type: application/json\n", door.method, door.path)
		if door.credential != "" {
			head += "Authorization: " + door.credential + "\n"
		}
		what := door.method + " " + door.path

		// What is announced too large is refused before any of it has come.
		for _, expect := range []string{"", "Expect: 100-continue\n"} {
			l := w.dial(t)
			l.send(t, head+expect+fmt.Sprintf("Content-Length: %d\n\n", large))
			announced := what + " that announces 65 MiB"
			if r := door.shape.mustRefuse(t, announced, l.answer(t, announced, door.method), 413); r.code != "request_too_large" {
				t.Errorf("%s: code %q, want request_too_large", what, r.code)
			}
			l.mustClose(t, announced)
		}

		// What is not announced is refused when it has become too much.
		l := w.dial(t)
		l.send(t, head+"Transfer-Encoding: chunked\n\n")
		var sent atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			chunk := []byte(fmt.Sprintf("%x\r\n%s\r\n", mib, strings.Repeat(" ", mib)))
			for range large / mib {
				if _, err := l.conn.Write(chunk); err != nil {
					return // refused, as it should be
				}
				sent.Add(mib)
			}
			_, _ = l.conn.Write([]byte("0\r\n\r\n"))
		}()
		door.shape.mustRefuse(t, what+" with 65 MiB in chunks", l.answer(t, what+" with 65 MiB in chunks", door.method), 413)
		_ = l.conn.Close()
		<-done
		// What the network's buffers take does not count.
		if got := sent.Load(); door.most == mib && got > 16*mib {
			t.Errorf("%s has read %d MiB of a body that may have 1", what, got/mib)
		}
	}

	// An ordinary client that sends everything gets to see the refusal.
	got, err := w.http.Do(mustRequest(t, "POST", w.server.BaseURL+"/v1/chat/completions", bearer(w.key), io.LimitReader(zeros{}, large), large))
	if err != nil {
		t.Fatalf("a client that sends 65 MiB: %v", err)
	}
	a, err := readAnswer(got)
	if err != nil {
		t.Fatal(err)
	}
	openAI.mustRefuse(t, "a client that sends 65 MiB", a, 413)

	// Without a known key nothing is read at all.
	l := w.dial(t)
	l.send(t, fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\nHost: halley\nAuthorization: Bearer sk-unknown\nContent-Length: %d\n\n", modelMost))
	openAI.mustRefuse(t, "64 MiB without a known key", l.answer(t, "64 MiB without a known key", "POST"), 401)
}

// zeros reads as blanks without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func mustRequest(t testing.TB, method, url string, header http.Header, body io.Reader, length int64) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.ContentLength = header, length
	return req
}

func badEndings(t *testing.T, w *world) {
	type door struct {
		method, path, credential string
		shape                    shape
	}
	doors := []door{
		{"POST", "/v1/chat/completions", "Bearer " + w.key.Key, openAI}, {"POST", "/v1/embeddings", "Bearer " + w.key.Key, openAI},
		{"POST", "/api/token/", w.alice.Authorization, envelope}, {"POST", "/api/user/login", "x", envelope}, {"PUT", "/api/option/max_keys_per_user", w.server.RootPAT, envelope},
	}
	whole := `{"model":"script-chat","name":"x","username":"root","password":"password","value":5}`
	for _, d := range doors {
		head := fmt.Sprintf("%s %s HTTP/1.1\nHost: halley\nAuthorization: %s\nContent-Type: application/json\n", d.method, d.path, d.credential)
		for name, rest := range map[string]string{
			"less than announced":              fmt.Sprintf("Content-Length: %d\n\n%s", len(whole)+1, whole),
			"nothing of what was announced":    "Content-Length: 500\n\n",
			"chunks without an end":            fmt.Sprintf("Transfer-Encoding: chunked\n\n%x\n%s\n", len(whole), whole),
			"a chunk that is cut":              fmt.Sprintf("Transfer-Encoding: chunked\n\n%x\n%s", len(whole)+5, whole),
			"a chunk without a size":           "Transfer-Encoding: chunked\n\nzz\n" + whole,
			"a chunk of a size beyond 64 bits": "Transfer-Encoding: chunked\n\nfffffffffffffffff\n" + whole,
			"a chunk of a negative size":       "Transfer-Encoding: chunked\n\n-1\n" + whole,
		} {
			// The sender stops and still listens.
			l := w.dial(t)
			l.send(t, head+rest)
			if err := l.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			what := d.method + " " + d.path + " with " + name
			d.shape.mustRefuse(t, what, l.answer(t, what, d.method), 400)
			l.mustClose(t, what)

			// The sender is gone.
			l = w.dial(t)
			l.send(t, head+rest)
			if err := l.conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			_ = l.conn.Close()
		}
	}
}

// badText sends what is JSON and still not fit for every database.
func badText(t *testing.T, w *world) {
	for name, text := range map[string]string{"NUL": `\u0000`, "a lone surrogate": `\ud800`, "DEL": `\u007f`, "a line separator": `\u2028`, "the last character": `\udbff\udfff`, "a bell": `\u0007`} {
		// Text of no importance is recorded somehow and charged like any other.
		body := `{"model":"script-chat","messages":[],"user":"` + text + fair + text + `"}`
		got := w.ask(t, "POST", "/v1/chat/completions", bearer(w.fairKey), body)
		if got.status != http.StatusOK {
			t.Errorf("user with %s: %d %s", name, got.status, got.body)
			continue
		}
		if row := w.server.Root.UsageOf(t, got.header.Get("X-Request-Id")); !strings.Contains(row.EndUser, fair) || row.Quota == "0" {
			t.Errorf("user with %s: record %+v", name, row)
		}
		openAI.mustRefuse(t, "a model with "+name, w.ask(t, "POST", "/v1/chat/completions", bearer(w.key), `{"model":"a`+text+`b"}`), 404)

		for path, field := range map[string]string{"/api/token/": "name", "/api/channel/": "name", "/api/user/": "username", "/api/group/": "name", "/api/user/token": "name"} {
			if path == "/api/user/token" && (text == `\u2028` || text == `\udbff\udfff`) || path == "/api/token/" && text == `\udbff\udfff` {
				continue // a good name there
			}
			envelope.mustRefuse(t, path+" with "+name, w.ask(t, "POST", path, w.asRoot(), `{"`+field+`":"a`+text+`b","scope":"full","password":"long enough","models":["m"],"groups":["default"],"kind":"`+text+`"}`), 400, 422)
		}
		envelope.mustRefuse(t, "login with "+name, w.ask(t, "POST", "/api/user/login", nil, `{"username":"a`+text+`b","password":"`+text+`"}`), 400, 401, 422)
		envelope.mustRefuse(t, "a password with "+name, w.ask(t, "PATCH", "/api/user/self", w.asRoot(), `{"password":"`+text+`","old_password":"`+text+`"}`), 400, 401, 403, 422)
	}
	for _, text := range []string{"%00", "%ff", "a%00b", "%c3%28", "%ed%a0%80", "%25", "_", "%5c", "'", "%27%20OR%201=1--", strings.Repeat("%f0%9f%98%80", 500), "%0d%0aX-Evil:%201"} {
		for _, list := range []string{
			"/api/token/?keyword=", "/api/token/?group=", "/api/token/search?keyword=", "/api/token/search?token=", "/api/user/?keyword=", "/api/channel/?keyword=", "/api/channel/?group=", "/api/channel/?tag=",
			"/api/log/?model=", "/api/log/?request_id=", "/api/log/stat?model=", "/api/log/self?request_id=", "/api/audit/?action=", "/api/audit/?target=", "/api/audit/?target_kind=", "/api/audit/?request_id=", "/api/audit/export?target_kind=", "/api/price/?keyword=", "/api/data/?bucket=hour&by=model&model=",
			"/user/quota?start_date=2026-01-01&end_date=", "/user/quota?key=",
		} {
			got := w.get(t, list+text, w.asRoot())
			if got.status >= 500 || strings.Contains(string(got.body), "X-Evil") || got.header.Get("X-Evil") != "" {
				t.Errorf("GET %s%s: %d %s", list, text, got.status, got.body)
			}
		}
		for _, path := range []string{"/v1/models/", "/api/group/", "/api/price/", "/api/token/", "/api/option/", "/api/user/token/", "/api/channel/"} {
			for _, method := range []string{"GET", "DELETE", "PATCH"} {
				shape := envelope
				if path == "/v1/models/" {
					shape = openAI
				}
				what := method + " " + path + text
				if r := shape.mustRefuse(t, what, w.ask(t, method, path+text, w.asRoot(), `{"status":1,"desc":"x"}`), 400, 401, 404, 405, 422); r.code == "internal_error" {
					t.Errorf("%s: %s", what, r.message)
				}
			}
		}
	}
}

// manyAddresses are 10,000 of them.
func manyAddresses() string {
	var all strings.Builder
	for i := range 10_000 {
		_, _ = fmt.Fprintf(&all, "10.0.%d.%d,", i/200, i%200)
	}
	return all.String()
}

// badNumbers asks for more than there can be.
func badNumbers(t *testing.T, w *world) {
	// 200 units pay for a short prompt and some hundred tokens of output.
	poor := func() harness.Key { return w.spender.CreateKey(t, harness.Fields{"name": "poor", "remain_quota": 200}) }
	for _, limits := range []string{
		// 2^24 × 2^40, 2^40 × 2^40 and others that come to little in 64 bits.
		`"n":16777216,"max_tokens":1099511627776`, `"n":1099511627776,"max_tokens":1099511627776`, `"n":9223372036854775807,"max_tokens":2`, `"n":4294967296,"max_completion_tokens":4294967296`,
		`"n":1e18,"max_tokens":1e18`, `"n":18446744073709551615,"max_tokens":1`, `"n":33554432,"max_tokens":549755813888`,
	} {
		key := poor()
		got := w.ask(t, "POST", "/v1/chat/completions", bearer(key), `{"model":"script-chat","messages":[],`+limits+`}`)
		if r := openAI.mustRefuse(t, "200 units for "+limits, got, 402); r.code != "key_quota_exhausted" {
			t.Errorf("%s: code %q, want key_quota_exhausted", limits, r.code)
		}
		w.spender.DeleteKey(t, key.ID)
	}
	// Which of two caps an upstream goes by is its own choice: neither may ask
	// for more than was held.
	for _, limits := range []string{
		`"max_tokens":1000000,"max_completion_tokens":1`, `"max_tokens":1,"max_completion_tokens":1000000`, `"max_tokens":0,"max_completion_tokens":1000000`, `"max_tokens":1000000,"max_completion_tokens":0`, `"max_tokens":1000000,"max_completion_tokens":null`,
		`"max_tokens":-1,"max_completion_tokens":-1`, `"n":-9223372036854775808,"max_tokens":-9223372036854775808`, `"max_tokens":1000000`,
	} {
		key := poor()
		mark := fair + random(10)
		got := w.ask(t, "POST", "/v1/chat/completions", bearer(key), `{"model":"script-chat","messages":[],"user":"`+mark+`",`+limits+`}`)
		for _, received := range w.upstream.Received() {
			var caps struct {
				Tokens     *int64 `json:"max_tokens"`
				Completion *int64 `json:"max_completion_tokens"`
			}
			if !strings.Contains(string(received.Body), mark) {
				continue
			}
			if err := json.Unmarshal(received.Body, &caps); err != nil {
				t.Errorf("%s: the upstream got %s: %v", limits, received.Body, err)
			}
			for _, c := range []*int64{caps.Tokens, caps.Completion} {
				if c != nil && *c > 200 {
					t.Errorf("%s: %d, and with 200 units left the upstream was asked for %d tokens: %s", limits, got.status, *c, received.Body)
				}
			}
		}
		w.spender.DeleteKey(t, key.ID)
	}
	for _, body := range []string{
		`{"remain_quota":9223372036854775808}`, `{"remain_quota":9223372036854775807}`, `{"remain_quota":9007199254740992}`, `{"remain_quota":1e400}`, `{"remain_quota":-1}`, `{"remain_quota":1.5}`, `{"remain_quota":"5"}`,
		`{"expired_time":9223372036854775807}`, `{"expired_time":-9223372036854775808}`, `{"expired_time":0}`, `{"limits":{"rpm":-1}}`, `{"limits":{"tpm":9223372036854775808}}`,
		`{"allow_ips":"` + manyAddresses() + `"}`, `{"allow_ips":"10.0.0.0/33"}`, `{"allow_ips":"fe80::1%eth0"}`, `{"allow_ips":"::ffff:10.0.0.1/200"}`,
	} {
		text := strings.TrimSuffix(body, "}")
		envelope.mustRefuse(t, "creating with "+body[:min(len(body), 80)], w.ask(t, "POST", "/api/token/", w.asRoot(), text+`,"name":"x"}`), 400, 422)
		envelope.mustRefuse(t, "changing to "+body[:min(len(body), 80)], w.ask(t, "PUT", "/api/token/", w.asRoot(), text+fmt.Sprintf(`,"id":%d}`, w.rootKey.ID)), 400, 422)
	}
	for _, change := range []string{`{"add":9223372036854775807}`, `{"add":-9223372036854775808}`, `{"set":9223372036854775807}`, `{"set":-1}`, `{"add":1,"set":1}`, `{}`, `{"add":null}`} {
		envelope.mustRefuse(t, "quota "+change, w.ask(t, "POST", fmt.Sprintf("/api/token/%d/quota", w.rootKey.ID), w.asRoot(), change), 400, 422)
		envelope.mustRefuse(t, "balance "+change, w.ask(t, "POST", fmt.Sprintf("/api/user/%d/quota", w.aliceID), w.asRoot(), change), 400, 422)
	}
	for _, query := range []string{"p=-1", "p=x", "page_size=-5", "page_size=1.5", "p=99999999999999999999", "status=x", "user_id=-1", "user_id=x"} {
		for _, list := range []string{"/api/token/", "/api/log/", "/api/audit/", "/api/user/"} {
			if got := w.get(t, list+"?"+query, w.asRoot()); got.status >= 500 {
				t.Errorf("GET %s?%s: %d %s", list, query, got.status, got.body)
			}
		}
	}
	for _, query := range []string{"p=9223372036854775807&page_size=100", "p=92233720368547758&page_size=100", "p=1000000"} {
		for _, list := range []string{"/api/token/", "/api/log/", "/api/audit/", "/api/user/", "/api/channel/", "/api/group/", "/api/option/", "/api/price/", "/api/user/token"} {
			got := w.get(t, list+"?"+query, w.asRoot())
			if got.status != http.StatusOK || !strings.Contains(string(got.body), `"items":[]`) {
				t.Errorf("GET %s?%s: %d %s, want an empty page", list, query, got.status, got.body)
			}
		}
	}
}
