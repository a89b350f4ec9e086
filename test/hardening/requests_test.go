package hardening_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// badFraming sends what net/http refuses before Halley sees it. Those answers
// are plain text without an id: there is no request yet.
func badFraming(t *testing.T, w *world) {
	get := "GET /v1/models HTTP/1.1\nHost: halley\nAuthorization: Bearer " + w.key.Key + "\n"
	post := "POST /v1/chat/completions HTTP/1.1\nHost: halley\nAuthorization: Bearer " + w.key.Key + "\n"
	for name, row := range map[string]struct {
		text string
		want []int
	}{
		"two lengths":                         {post + "Content-Length: 5\nContent-Length: 6\n\n{\"a\":1}", []int{400}},
		"two lengths in a line":               {post + "Content-Length: 5, 6\n\n{\"a\":1}", []int{400}},
		"a negative length":                   {post + "Content-Length: -1\n\n", []int{400}},
		"a length with a sign":                {post + "Content-Length: +5\n\n{\"a\":", []int{400}},
		"a length in hexadecimal":             {post + "Content-Length: 0x5\n\n{\"a\":", []int{400}},
		"a length beyond 64 bits":             {post + "Content-Length: 99999999999999999999\n\n", []int{400}},
		"an encoding nobody knows":            {post + "Transfer-Encoding: gzip\n\n", []int{400, 501}},
		"chunked and something":               {post + "Transfer-Encoding: chunked, identity\n\n0\n\n", []int{400, 501}},
		"chunked twice":                       {post + "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n", []int{400, 501}},
		"a blank before the colon":            {post + "Transfer-Encoding : chunked\n\n0\n\n", []int{400}},
		"100 KB in a header":                  {get + "X-Long: " + strings.Repeat("x", 100_000) + "\n\n", []int{431}},
		"100 KB of headers":                   {get + strings.Repeat("X-Many: "+strings.Repeat("x", 90)+"\n", 1000) + "\n", []int{431}},
		"100 KB in a path":                    {"GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1\nHost: halley\n\n", []int{400, 414, 431}},
		"a header without a colon":            {get + "X-Nothing\n\n", []int{400}},
		"a header's name with a blank":        {get + "X Y: z\n\n", []int{400}},
		"a header's name of nothing":          {get + ": z\n\n", []int{400}},
		"NUL in a header":                     {get + "X-Y: a\x00b\n\n", []int{400}},
		"no host":                             {"GET /v1/models HTTP/1.1\n\n", []int{400}},
		"two hosts":                           {"GET /v1/models HTTP/1.1\nHost: a\nHost: b\n\n", []int{400}},
		"a host with blanks":                  {"GET /v1/models HTTP/1.1\nHost: a b\n\n", []int{400}},
		"no version":                          {"GET /v1/models\n\n", []int{400}},
		"a version of the future":             {"GET /v1/models HTTP/9.9\nHost: halley\n\n", []int{400, 505}},
		"a path that does not begin with one": {"GET v1/models HTTP/1.1\nHost: halley\n\n", []int{400}},
		"a broken escape":                     {"GET /v1/%zz HTTP/1.1\nHost: halley\n\n", []int{400}},
		"a control character in the path":     {"GET /v1/\x01 HTTP/1.1\nHost: halley\n\n", []int{400}},
		"an expectation nobody knows":         {post + "Expect: a miracle\nContent-Length: 2\n\n{}", []int{417}},
		"the first bytes of TLS":              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", []int{400}},
		"another protocol":                    {"EHLO halley\n\n", []int{400}},
	} {
		l := w.dial(t)
		l.send(t, row.text)
		got := l.answer(t, name, "GET")
		if !slices.Contains(row.want, got.status) || strings.Contains(string(got.body), "<") {
			t.Errorf("%s: %d %q, want %v", name, got.status, got.body, row.want)
		}
		l.mustClose(t, name)
	}

	// A length beside chunks does not count, and what follows the chunks is a
	// request of its own, not a part of the body.
	l := w.dial(t)
	l.send(t, post+"Content-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /api/status HTTP/1.1\nHost: halley\n\n")
	openAI.mustRefuse(t, "a length beside chunks", l.answer(t, "a length beside chunks", "POST"), 400)
	if got := l.answer(t, "the request behind it", "GET"); got.status != http.StatusOK {
		t.Errorf("the request behind it: %d", got.status)
	}
}

// doubledHeaders: which of two credentials would count must never be a guess.
func doubledHeaders(t *testing.T, w *world) {
	for _, values := range [][]string{
		{"Bearer " + w.key.Key, "Bearer " + w.bobKey.Key}, {w.server.RootPAT, w.alice.Authorization}, {"Bearer " + w.key.Key, w.server.RootPAT}, {w.server.RootPAT, w.server.RootPAT}, {w.server.RootPAT, ""},
	} {
		header := http.Header{"Authorization": values}
		for _, r := range w.routes {
			r.shape().mustRefuse(t, r.method+" "+r.template, w.ask(t, r.method, r.path, header, "{}"), 400)
		}
		for path, method := range map[string]string{"/v1/models": "GET", "/v1/models/script-chat": "GET", "/v1/chat/completions": "POST", "/v1/embeddings": "POST"} {
			openAI.mustRefuse(t, method+" "+path, w.ask(t, method, path, header, `{"model":"script-chat"}`), 400)
		}
	}
}

func badPaths(t *testing.T, w *world) {
	for path, s := range map[string]shape{
		"/v1": openAI, "/v1/": openAI, "/v1/nothing": openAI, "/v1/chat": openAI, "/v1/chat/completions/": openAI, "/v1/chat/completions/x": openAI, "/v1/chat//completions": openAI, "/v1//chat/completions": openAI,
		"/v1/../api/user/self": openAI, "/v1/./models": openAI, "/v1/%2e%2e/api/user/self": openAI, "/v1/%2E%2E/metrics": openAI, "/v1/..%2fmetrics": openAI, "/v1/models/..": openAI, "/v1/models/../models": openAI,
		"/v1/models/nothing": openAI, "/v1/models/nothing/": openAI, "/v1/Models": openAI, "/v1/chat/completions%00": openAI, "/v1/chat/completions%20": openAI, "/v1/chat%2fcompletions/x": openAI, "/v1/v1/models": openAI,
		"//v1/models": openAI, "//v1//chat//completions": openAI, "///v1/chat/completions": openAI,
		"/v1beta": gemini, "/v1beta/": gemini, "/v1beta/nothing": gemini, "/v1beta/models/m:doNothing": gemini, "/v1beta/../v1/models": gemini, "/v1beta//models": gemini, "//v1beta/models/m:doNothing": gemini,
		"/api": envelope, "/api/": envelope, "/api/nothing": envelope, "/api//token/": envelope, "/api/token//": envelope, "/api/../v1/models": envelope, "/api/%2e%2e/v1/models": envelope, "/api/token/%2e%2e/user/": envelope,
		"/api/token/../user/": envelope, "/api/./status": envelope, "/api/status/x": envelope, "/api/Status": envelope, "/api/token/5/nothing": envelope, "/api/token/x": envelope, "/api/token/-1": envelope, "/api/token/0": envelope,
		"/api/token/99999999999999999999": envelope, "/api/token/1.5": envelope, "/api/token/%31%00": envelope, "/api/user/99999": envelope, "/api/channel/99999": envelope, "/api/group/nothing": envelope, "/api/price/nothing": envelope,
		"/api/option/nothing": envelope, "/api/user/self/nothing": envelope, "/api/openapi.json/x": envelope, "//api/status": envelope, "//api//token/": envelope,
	} {
		header := w.asRoot()
		if s != envelope {
			header = bearer(w.key)
		}
		for _, method := range []string{"GET", "POST"} {
			l := w.dial(t) // net/http's client would clean the path
			l.send(t, fmt.Sprintf("%s %s HTTP/1.1\nHost: halley\nAuthorization: %s\nContent-Length: 2\nConnection: close\n\n{}", method, path, header.Get("Authorization")))
			got := l.answer(t, method+" "+path, method)
			s.mustRefuse(t, method+" "+path, got, 404, 405)
			if got.header.Get("Location") != "" {
				t.Errorf("%s %s: a redirect to %s", method, path, got.header.Get("Location"))
			}
		}
	}
}

func badMethods(t *testing.T, w *world) {
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "X"} {
		for _, path := range []string{"/v1/chat/completions", "/v1/embeddings"} {
			openAI.mustRefuse(t, method+" "+path, w.raw(t, method, path, bearer(w.key)), 405)
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "X"} {
		for _, path := range []string{"/v1/models", "/v1/models/script-chat"} {
			openAI.mustRefuse(t, method+" "+path, w.raw(t, method, path, bearer(w.key)), 405)
		}
	}
	known, shapes := map[string][]string{}, map[string]shape{}
	for _, r := range w.routes {
		known[r.path], shapes[r.path] = append(known[r.path], r.method), r.shape()
	}
	for path, methods := range known {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "X"} {
			if !slices.Contains(methods, method) {
				if path == "/api/price/" {
					continue // a model without a name is unknown in its own words
				}
				shapes[path].mustRefuse(t, method+" "+path, w.raw(t, method, path, w.asRoot()), 404, 405)
			}
		}
		// HEAD follows GET, OPTIONS asks for nothing.
		if got := w.raw(t, "OPTIONS", path, nil); got.status != http.StatusNoContent || len(got.body) > 0 || got.header.Get("X-Request-Id") == "" {
			t.Errorf("OPTIONS %s: %d %s", path, got.status, got.body)
		}
		if slices.Contains(methods, "GET") {
			w.mustFollow(t, path, w.asRoot())
		}
	}
	for _, path := range []string{"/v1/models", "/v1/models/script-chat", "/v1/nothing", "/v1beta/nothing", "/api/nothing", "/", "/healthz", "/readyz"} {
		w.mustFollow(t, path, bearer(w.key))
	}
	for _, path := range []string{"/v1/models", "/v1/chat/completions", "/v1/nothing", "/v1beta/models/m:generateContent", "/api/nothing", "/api/token"} {
		if got := w.raw(t, "OPTIONS", path, nil); got.status != http.StatusNoContent || len(got.body) > 0 {
			t.Errorf("OPTIONS %s: %d %s", path, got.status, got.body)
		}
	}
}

// raw sends a request with any method.
func (w *world) raw(t testing.TB, method, path string, header http.Header) answer {
	t.Helper()
	l := w.dial(t)
	text := method + " " + path + " HTTP/1.1\nHost: halley\nConnection: close\n"
	for name, values := range header {
		text += name + ": " + values[0] + "\n"
	}
	if method != "GET" && method != "HEAD" && method != "OPTIONS" {
		text += "Content-Length: 2\n\n{}"
	} else {
		text += "\n"
	}
	l.send(t, text)
	return l.answer(t, method+" "+path, method)
}

// mustFollow compares HEAD with GET.
func (w *world) mustFollow(t testing.TB, path string, header http.Header) {
	t.Helper()
	get, head := w.raw(t, "GET", path, header), w.raw(t, "HEAD", path, header)
	if head.status != get.status || head.header.Get("Content-Type") != get.header.Get("Content-Type") || len(head.body) > 0 || head.header.Get("X-Request-Id") == "" {
		t.Errorf("HEAD %s: %d %v with %d bytes, GET: %d %v", path, head.status, head.header, len(head.body), get.status, get.header)
	}
}

// foreignRecords: what belongs to somebody else does not exist.
func foreignRecords(t *testing.T, w *world) {
	id := strconv.FormatInt(w.bobKey.ID, 10)
	before := w.bob.GetKey(t, w.bobKey.ID)
	for _, a := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/token/" + id, nil}, {"PUT", "/api/token/", harness.Fields{"id": w.bobKey.ID, "name": "mine"}}, {"PUT", "/api/token/?status_only=true", harness.Fields{"id": w.bobKey.ID, "status": 2}},
		{"DELETE", "/api/token/" + id, nil}, {"POST", "/api/token/" + id + "/quota", harness.Fields{"set": 0}}, {"POST", "/api/token/" + id + "/verify", harness.Fields{"model": "script-chat"}},
	} {
		// Somebody else's and nobody's are answered alike.
		got := w.alice.Try(t, a.method, a.path, a.body)
		if got.Status != 404 || got.Code != "key_not_found" {
			t.Errorf("%s %s: %d %s", a.method, a.path, got.Status, got.Code)
		}
		nobody := w.alice.Try(t, a.method, strings.Replace(a.path, id, "987654321", 1), asNobody(a.body))
		if nobody.Status != got.Status || nobody.Code != got.Code || strings.ReplaceAll(nobody.Message, "987654321", id) != got.Message {
			t.Errorf("%s %s: %d %s %q, for nobody's key %d %s %q", a.method, a.path, got.Status, got.Code, got.Message, nobody.Status, nobody.Code, nobody.Message)
		}
		named := w.alice.Try(t, a.method, a.path+map[bool]string{true: "&", false: "?"}[strings.Contains(a.path, "?")]+"user_id="+strconv.FormatInt(w.bobID, 10), a.body)
		if named.Status != 403 {
			t.Errorf("%s %s as another user: %d %s", a.method, a.path, named.Status, named.Code)
		}
	}
	if got := w.alice.Try(t, "POST", "/api/token/batch", harness.Fields{"ids": []int64{w.bobKey.ID, w.rootKey.ID}}); got.Status != 200 || string(got.Data) != "0" {
		t.Errorf("batch: %d %s, want none deleted", got.Status, got.Data)
	}
	if got := w.bob.Try(t, "DELETE", "/api/user/token/"+strconv.FormatInt(w.aliceToken, 10), nil); got.Status != 404 {
		t.Errorf("another's token: %d %s", got.Status, got.Code)
	}
	for _, path := range []string{"/api/log/self?key_id=" + id, "/api/token/search?token=" + w.bobKey.Key, "/api/token/search?keyword=bob"} {
		if got := harness.Into[harness.Page[any]](t, w.alice.Must(t, "GET", path, nil)); got.Total != 0 {
			t.Errorf("%s lists %d of bob's records to alice", path, got.Total)
		}
	}
	for _, r := range w.routes {
		// What is an administrator's or root's is refused to alice before her
		// request is read.
		if slices.Contains([]string{"/api/log/", "/api/log/stat", "/api/data/", "/api/audit/", "/api/user/", "/api/user/{id}", "/api/user/{id}/quota", "/api/channel/", "/api/channel/{id}", "/api/channel/{id}/test", "/api/group/", "/api/group/{name}", "/api/price/", "/api/price/{model}", "/api/option/", "/api/option/{name}"}, r.template) {
			if got := w.alice.Try(t, r.method, r.path, "{"); got.Status != 403 {
				t.Errorf("%s %s for a user: %d %s", r.method, r.path, got.Status, got.Code)
			}
		}
	}
	if diff := cmp.Diff(before, w.bob.GetKey(t, w.bobKey.ID)); diff != "" {
		t.Errorf("bob's key (-before +after):\n%s", diff)
	}
}

// wrongKinds: no credential opens a door that is another's, and one that may
// read does not write.
func wrongKinds(t *testing.T, w *world) {
	session := harness.Login(t, w.server.BaseURL, spender, harness.Password)
	reading := w.server.Root.CreatePAT(t, "reading", "read")
	for _, r := range w.routes {
		if r.public() || r.path == "/user/quota" || r.path == "/api/usage/token" {
			continue
		}
		what := r.method + " " + r.template
		if got := w.ask(t, r.method, r.path, nil, "{}"); got.status == http.StatusOK {
			if r.method != "GET" || len(r.path) > len("/api/openapi.json") {
				t.Errorf("%s without a credential: 200", what)
			}
			continue // what anybody may read
		}
		for name, header := range map[string]http.Header{
			"nothing": nil, "an API key": bearer(w.rootKey), "an API key, raw": {"Authorization": {w.rootKey.Key}}, "an API key in x-api-key": {"X-Api-Key": {w.rootKey.Key}}, "an API key as a session": {"Cookie": {"halley_session=" + w.rootKey.Key}},
			"a token in x-api-key": {"X-Api-Key": {w.server.RootPAT}}, "a token as a session": {"Cookie": {"__Host-halley=" + w.server.RootPAT}}, "a session as a token": {"Authorization": {strings.SplitN(session.Cookie, "=", 2)[1]}},
			"a token that is cut": {"Authorization": {w.server.RootPAT[:40]}}, "a token in other case": {"Authorization": {strings.ToUpper(w.server.RootPAT)}}, "Basic": {"Authorization": {"Basic " + encode64("root:"+harness.Password)}},
			"nothing but Bearer": {"Authorization": {"Bearer "}}, "10 KB": {"Authorization": {strings.Repeat("x", 10_000)}}, "bytes": {"Authorization": {"hpat_\xff\xfe"}},
		} {
			r.shape().mustRefuse(t, what+" with "+name, w.ask(t, r.method, r.path, header, "{}"), 401)
		}
		if r.method != "GET" && !strings.HasSuffix(r.path, "/logout") && !strings.HasSuffix(r.path, "/verify") && !strings.HasSuffix(r.path, "/explain") && r.path != "/api/price-rerate" {
			if got := envelope.mustRefuse(t, what, w.ask(t, r.method, r.path, http.Header{"Authorization": {reading}}, "{}"), 403); got.code != "read_only_token" {
				t.Errorf("%s with a token that may read: %s", what, got.code)
			}
		}
	}
	for path, method := range map[string]string{"/v1/models": "GET", "/v1/models/script-chat": "GET", "/v1/chat/completions": "POST", "/v1/embeddings": "POST", "/api/usage/token": "GET", "/user/quota": "GET"} {
		for name, header := range map[string]http.Header{
			"nothing": nil, "a token": {"Authorization": {w.server.RootPAT}}, "a token as a bearer": {"Authorization": {"Bearer " + w.server.RootPAT}}, "a token in x-api-key": {"X-Api-Key": {w.server.RootPAT}}, "a session": {"Cookie": {session.Cookie}},
			"a key that is cut": {"Authorization": {"Bearer " + w.rootKey.Key[:45]}}, "a key with a tail": {"Authorization": {"Bearer " + w.rootKey.Key + "x"}}, "a key in other case": {"Authorization": {"Bearer " + strings.ToUpper(w.rootKey.Key)}},
			"10 KB": {"Authorization": {"Bearer " + strings.Repeat("x", 10_000)}}, "bytes": {"Authorization": {"Bearer sk-\xff\xfe"}}, "another scheme": {"Authorization": {"Basic " + encode64("x:"+w.rootKey.Key)}},
		} {
			shape := openAI
			if path == "/api/usage/token" {
				shape = envelope
			}
			if r := shape.mustRefuse(t, method+" "+path+" with "+name, w.ask(t, method, path, header, `{"model":"script-chat"}`), 401); r.code != "invalid_api_key" {
				t.Errorf("%s with %s: code %q, want invalid_api_key", path, name, r.code)
			}
		}
		// A key in the address is for other routes.
		if path != "/user/quota" {
			if got := w.ask(t, method, path+"?key="+w.rootKey.Key, nil, `{"model":"script-chat"}`); got.status != http.StatusUnauthorized {
				t.Errorf("%s?key=: %d", path, got.status)
			}
		}
	}
	tokens := harness.Into[harness.Page[struct {
		ID   int64
		Name string
	}]](t, w.server.Root.Must(t, "GET", "/api/user/token", nil))
	for _, token := range tokens.Items {
		if token.Name == "reading" {
			w.server.Root.Must(t, "DELETE", fmt.Sprintf("/api/user/token/%d", token.ID), nil)
		}
	}
}

// borrowedAddresses: a header cannot make a client come from somewhere else
// unless an operator trusts who sent it.
func borrowedAddresses(t *testing.T, w *world) {
	const allowed = "203.0.113.9"
	key := w.spender.CreateKey(t, harness.Fields{"name": "elsewhere", "unlimited_quota": true, "allow_ips": allowed})
	defer w.spender.DeleteKey(t, key.ID)
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "Cf-Connecting-Ip", "True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Fastly-Client-Ip", "X-Original-Forwarded-For", "X-Remote-Addr"} {
		for _, value := range []string{allowed, "for=" + allowed, "127.0.0.1, " + allowed, allowed + ", 127.0.0.1"} {
			for path, method := range map[string]string{"/v1/models": "GET", "/v1/chat/completions": "POST", "/user/quota": "GET"} {
				header := bearer(key)
				header.Set(name, value)
				if r := openAI.mustRefuse(t, name+": "+value, w.ask(t, method, path, header, `{"model":"script-chat"}`), 403); r.code != "ip_not_allowed" {
					t.Errorf("%s: %s: code %q, want ip_not_allowed", name, value, r.code)
				}
			}
		}
	}
}

// asNobody is the same body about a key that does not exist.
func asNobody(body any) any {
	fields, ok := body.(harness.Fields)
	if !ok || fields["id"] == nil {
		return body
	}
	other := harness.Fields{}
	for name, value := range fields {
		other[name] = value
	}
	other["id"] = 987654321
	return other
}

func pipelined(t *testing.T, w *world) {
	good := `{"model":"script-chat","messages":[],"user":"` + fair + `"}`
	auth := "Host: halley\nAuthorization: Bearer " + w.fairKey.Key + "\n"
	l := w.dial(t)
	l.send(t, "GET /v1/models HTTP/1.1\n"+auth+"\n"+
		"POST /v1/chat/completions HTTP/1.1\n"+auth+"Content-Length: "+strconv.Itoa(len(good))+"\n\n"+good+
		"POST /v1/chat/completions HTTP/1.1\n"+auth+"Content-Length: 4\n\nnull"+
		"GET /api/status HTTP/1.1\nHost: halley\n\n"+
		"GET /v1/nothing HTTP/1.1\nHost: halley\nConnection: close\n\n")
	ids := map[string]bool{}
	for i, want := range []struct {
		status int
		method string
	}{{200, "GET"}, {200, "POST"}, {400, "POST"}, {200, "GET"}, {404, "GET"}} {
		got := l.answer(t, fmt.Sprintf("request %d", i+1), want.method)
		if got.status != want.status {
			t.Errorf("answer %d: %d %s, want %d", i+1, got.status, got.body, want.status)
		}
		ids[got.header.Get("X-Request-Id")] = true
	}
	if len(ids) != 5 || ids[""] {
		t.Errorf("five answers have the ids %v", ids)
	}
	l.mustClose(t, "the last request")
}

func requestIDs(t *testing.T, w *world) {
	for _, path := range []string{"/v1/models", "/v1/nothing", "/v1beta/nothing", "/api/status", "/api/nothing", "/user/quota", "/healthz", "/", "/nothing"} {
		for _, id := range []string{"a", "client-id_1.2:3", strings.Repeat("x", 64), "01m83mgh57nfyrhhn6061wmg46"} {
			if got := w.get(t, path, http.Header{"X-Request-Id": {id}}).header.Values("X-Request-Id"); !slices.Equal(got, []string{id}) {
				t.Errorf("GET %s with X-Request-Id %s: got %v back", path, id, got)
			}
		}
		for _, id := range []string{"", " ", "two words", strings.Repeat("x", 65), strings.Repeat("y", 10_000), `"quoted"`, "<script>", "ünïcödé", "a;b", "a,b", "../../etc/passwd", "%0d%0aX-Evil:1", "sk-" + random(20), w.alice.Authorization, "{}", "a\tb"} {
			got := w.get(t, path, http.Header{"X-Request-Id": {id}}).header.Values("X-Request-Id")
			if len(got) != 1 || len(got[0]) < 16 || len(got[0]) > 64 || got[0] == id {
				t.Errorf("GET %s with X-Request-Id %.80q: got %v back, want one of Halley's", path, id, got)
			}
		}
		// Two: none of them, or the first; never both.
		if got := w.get(t, path, http.Header{"X-Request-Id": {"first", "second"}}).header.Values("X-Request-Id"); len(got) != 1 || got[0] == "second" {
			t.Errorf("GET %s with two ids: got %v back", path, got)
		}
	}
	for _, fold := range []string{"X-Request-Id: a\n X-Evil: 1\n", "X-Request-Id: a\r X-Evil: 1\n", "X-Request-Id: a\n\tb\n"} {
		l := w.dial(t)
		l.send(t, "GET /api/status HTTP/1.1\nHost: halley\n"+fold+"Connection: close\n\n")
		got := l.answer(t, fmt.Sprintf("%q", fold), "GET")
		if got.header.Get("X-Evil") != "" || strings.ContainsAny(got.header.Get("X-Request-Id"), " \t\r\n") {
			t.Errorf("%q: %d %v", fold, got.status, got.header)
		}
	}
	// Each is one line in the log.
	for _, path := range []string{"/v1/models", "/v1/nothing", "/v1//models", "/v1beta/nothing", "/api/status", "/api/nothing", "/user/quota", "/nothing"} {
		id := "line-" + random(20)
		w.get(t, path, http.Header{"X-Request-Id": {id}})
		w.awaitLine(t, id)
	}
	// What the answer says is what the record and the message say.
	got := w.ask(t, "POST", "/v1/chat/completions", http.Header{"Authorization": {"Bearer " + w.key.Key}, "X-Request-Id": {"mine-" + strconv.Itoa(w.quiet)}}, "{}")
	if id := got.header.Get("X-Request-Id"); !strings.Contains(string(got.body), "(request id: "+id+")") || w.server.Root.UsageOf(t, id).ErrorCode != "invalid_request" {
		t.Errorf("id %s, body %s", id, got.body)
	}
}

// awaitLine waits for a text to be in the log: what a process writes comes
// through a pipe.
func (w *world) awaitLine(t testing.TB, text string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for strings.Count(w.server.Log(), text) != 1 {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Errorf("the log has %d lines with %s", strings.Count(w.server.Log(), text), text)
			return
		}
	}
}

// Pages of an origin that the operator names may call, with a token; others and
// anybody's cookies may not.
func TestOnlyConfiguredOriginsMayCall(t *testing.T) {
	t.Parallel()
	const friend = "https://chat.example.com"
	for configured, allowed := range map[string][]string{friend: {friend}, "*": {friend, "https://evil.example"}} {
		s := harness.Start(t, harness.Options{Env: []string{"HALLEY_CORS_ALLOWED_ORIGINS=" + configured}})
		w := &world{server: s, http: http.DefaultClient}
		session := harness.Login(t, s.BaseURL, "root", harness.Password)
		for _, origin := range []string{friend, "https://evil.example", "https://chat.example.com.evil.example", "http://chat.example.com", "null", "https://chat.example.com:8443"} {
			for _, path := range []string{"/v1/models", "/v1/chat/completions", "/api/status", "/api/token/"} {
				for _, method := range []string{"OPTIONS", "GET"} {
					got := w.ask(t, method, path, http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}}, "").header
					want := ""
					if slices.Contains(allowed, origin) || configured == "*" {
						want = origin
					}
					if got.Get("Access-Control-Allow-Origin") != want && got.Get("Access-Control-Allow-Origin") != configured || got.Get("Access-Control-Allow-Credentials") != "" || want == "" && got.Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("allowed %s: %s %s from %s: %v", configured, method, path, origin, got)
					}
				}
			}
			header := http.Header{"Origin": {origin}, "Cookie": {session.Cookie}}
			if got := w.ask(t, "POST", "/api/token/", header, `{"name":"x"}`); origin != configured && got.status != http.StatusForbidden {
				t.Errorf("allowed %s: a session from %s: %d %s", configured, origin, got.status, got.body)
			}
		}
	}
}

// foreignPages: a browser lets no other page read an answer without CORS
// headers, and there are none unless an operator wants them.
func foreignPages(t *testing.T, w *world) {
	for _, path := range []string{"/v1/models", "/v1/chat/completions", "/v1/nothing", "/api/status", "/api/token/", "/api/user/login", "/user/quota", "/", "/metrics", "/healthz"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			got := w.ask(t, method, path, http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"}}, "")
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s: %s", method, path, name, got.header.Get(name))
				}
			}
		}
	}
	// A session does not work from there.
	session := harness.Login(t, w.server.BaseURL, "alice", harness.Password)
	for _, header := range []http.Header{{"Origin": {"https://evil.example"}}, {"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"null"}}, {"Sec-Fetch-Site": {"same-site"}}} {
		header.Set("Cookie", session.Cookie)
		for _, r := range w.routes {
			if r.method != "GET" && !r.public() {
				envelope.mustRefuse(t, r.method+" "+r.path, w.ask(t, r.method, r.path, header, "{}"), 403)
			}
		}
		envelope.mustRefuse(t, "login from elsewhere", w.ask(t, "POST", "/api/user/login", header, object("username", "alice", "password", harness.Password)), 403)
	}
}

// leavingReaders ask for streams without end and go.
func leavingReaders(t *testing.T, w *world) {
	body := `{"model":"` + fakeprovider.ScriptForever + `","stream":true,"messages":[],"user":"` + fair + `"}`
	for i := range 8 {
		l := w.dial(t)
		l.send(t, fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\nHost: halley\nX-Request-Id: leaving-%d\nAuthorization: Bearer %s\nContent-Length: %d\n\n%s", i, w.fairKey.Key, len(body), body))
		if line, err := l.r.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("%q, %v", line, err)
		}
		_ = l.conn.Close()
	}
	for i := range 8 {
		if row := w.server.Root.UsageOf(t, fmt.Sprintf("leaving-%d", i)); row.Status != 499 {
			t.Errorf("record of a client that left: %+v", row)
		}
	}
}
