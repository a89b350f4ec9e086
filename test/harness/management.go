package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Fields is a JSON object to send; tests write only the members they mean.
type Fields = map[string]any

// Client speaks the management API with one credential. It is safe for
// concurrent use.
type Client struct {
	BaseURL string
	// Authorization is sent raw: a personal access token. "" sends none.
	Authorization string
	// Cookie is the session cookie of a login, "name=value". "" sends none.
	Cookie string
	HTTP   *http.Client
}

// NewClient is a client with a personal access token.
func NewClient(baseURL, pat string) *Client {
	return &Client{BaseURL: baseURL, Authorization: pat, HTTP: &http.Client{Timeout: 30 * time.Second}}
}

// Login opens a session with name and password.
func Login(t testing.TB, baseURL, username, password string) *Client {
	t.Helper()
	c := NewClient(baseURL, "")
	a := c.Must(t, "POST", "/api/user/login", Fields{"username": username, "password": password})
	// A cookie jar would keep a Secure cookie from plain HTTP on loopback, so
	// the pairs are carried by hand.
	var pairs []string
	for _, cookie := range (&http.Response{Header: a.Header}).Cookies() {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
	}
	if len(pairs) == 0 {
		t.Fatal("login: the answer set no cookie")
	}
	c.Cookie = strings.Join(pairs, "; ")
	return c
}

// Answer is a management answer, the envelope opened.
type Answer struct {
	Status  int
	Header  http.Header
	Body    []byte
	Success bool            `json:"success"`
	Message string          `json:"message"`
	Code    string          `json:"code"`
	Data    json.RawMessage `json:"data"`
}

// Do sends a request and gives whatever comes back; body nil sends none, a
// []byte or string goes as it is, anything else as JSON. An answer that is no
// envelope is an error.
func (c *Client) Do(ctx context.Context, method, path string, body any) (Answer, error) {
	payload, err := encode(body)
	if err != nil {
		return Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.BaseURL+path, bytes.NewReader(payload))
	if err != nil {
		return Answer{}, err
	}
	if len(payload) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	if c.Cookie != "" {
		req.Header.Set("Cookie", c.Cookie)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	if err := json.Unmarshal(a.Body, &a); err != nil {
		return a, fmt.Errorf("%s %s: %d is no envelope: %w\n%s", method, path, a.Status, err, a.Body)
	}
	return a, nil
}

// Try is Do where only a broken connection or envelope ends the test: for calls
// that are meant to be refused.
func (c *Client) Try(t testing.TB, method, path string, body any) Answer {
	t.Helper()
	a, err := c.Do(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Must is Try where anything but success ends the test.
func (c *Client) Must(t testing.TB, method, path string, body any) Answer {
	t.Helper()
	a := c.Try(t, method, path, body)
	if a.Status != http.StatusOK || !a.Success {
		t.Fatalf("%s %s: %d %s: %s", method, path, a.Status, a.Code, a.Message)
	}
	return a
}

// Into is the data of an answer as a T; data of another shape ends the test.
func Into[T any](t testing.TB, a Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Data, &v); err != nil {
		t.Fatalf("data is not %T: %v\n%s", v, err, a.Data)
	}
	return v
}

// CheckBooks has the server work every balance out again from its rows, and
// fails the test for each difference.
func (c *Client) CheckBooks(t testing.TB) {
	t.Helper()
	a, err := c.Do(context.WithoutCancel(t.Context()), http.MethodGet, "/api/ledger/check", nil) // also when the test has ended
	if err != nil {
		t.Error(err)
		return
	}
	for _, d := range Into[struct{ Differences []map[string]any }](t, a).Differences {
		t.Errorf("the books are not right: %v", d)
	}
}

// Page is the page object of lists.
type Page[T any] struct {
	Page     int `json:"page"`
	PageSize int `json:"page_size"`
	Total    int `json:"total"`
	Items    []T `json:"items"`
}

// Key is an API key's record as the contract publishes it.
type Key struct {
	ID                 int64           `json:"id"`
	UserID             int64           `json:"user_id"`
	Key                string          `json:"key"`
	Status             int             `json:"status"`
	Name               string          `json:"name"`
	CreatedTime        int64           `json:"created_time"`
	AccessedTime       int64           `json:"accessed_time"`
	ExpiredTime        int64           `json:"expired_time"`
	RemainQuota        int64           `json:"remain_quota"`
	UnlimitedQuota     bool            `json:"unlimited_quota"`
	ModelLimitsEnabled bool            `json:"model_limits_enabled"`
	ModelLimits        string          `json:"model_limits"`
	AllowIPs           *string         `json:"allow_ips"`
	UsedQuota          int64           `json:"used_quota"`
	Group              string          `json:"group"`
	CrossGroupRetry    bool            `json:"cross_group_retry"`
	HeldQuota          int64           `json:"held_quota"`
	Limits             json.RawMessage `json:"limits"`
	Version            int64           `json:"version"`
}

// CreateKey makes a key: POST /api/token/.
func (c *Client) CreateKey(t testing.TB, f Fields) Key {
	t.Helper()
	return Into[Key](t, c.Must(t, "POST", "/api/token/", f))
}

// GetKey reads a key: GET /api/token/{id}.
func (c *Client) GetKey(t testing.TB, id int64) Key {
	t.Helper()
	return Into[Key](t, c.Must(t, "GET", "/api/token/"+strconv.FormatInt(id, 10), nil))
}

// UpdateKey changes the fields that are named: PUT /api/token/.
func (c *Client) UpdateKey(t testing.TB, id int64, f Fields) Key {
	t.Helper()
	body := Fields{"id": id}
	for k, v := range f {
		body[k] = v
	}
	return Into[Key](t, c.Must(t, "PUT", "/api/token/", body))
}

// DeleteKey deletes a key: DELETE /api/token/{id}.
func (c *Client) DeleteKey(t testing.TB, id int64) {
	t.Helper()
	c.Must(t, "DELETE", "/api/token/"+strconv.FormatInt(id, 10), nil)
}

// CreatePAT makes a personal access token that does not expire and gives its
// value; scope is "full" or "read".
func (c *Client) CreatePAT(t testing.TB, name, scope string) string {
	t.Helper()
	a := c.Must(t, "POST", "/api/user/token", Fields{"name": name, "scope": scope, "expires_at": -1})
	return Into[struct {
		Token string `json:"token"`
	}](t, a).Token
}

// User is an account's record.
type User struct {
	ID             int64  `json:"id"`
	Username       string `json:"username"`
	Role           string `json:"role"`
	Status         int    `json:"status"`
	Group          string `json:"group"`
	Quota          int64  `json:"quota"`
	UnlimitedQuota bool   `json:"unlimited_quota"`
	UsedQuota      int64  `json:"used_quota"`
	RequestCount   int64  `json:"request_count"`
	CreatedTime    int64  `json:"created_time"`
}

// CreateUser makes an account: POST /api/user/.
func (c *Client) CreateUser(t testing.TB, f Fields) User {
	t.Helper()
	return Into[User](t, c.Must(t, "POST", "/api/user/", f))
}

// GetUser reads an account: GET /api/user/{id}.
func (c *Client) GetUser(t testing.TB, id int64) User {
	t.Helper()
	return Into[User](t, c.Must(t, "GET", "/api/user/"+strconv.FormatInt(id, 10), nil))
}

// PatchUser changes an account: PATCH /api/user/{id}.
func (c *Client) PatchUser(t testing.TB, id int64, f Fields) User {
	t.Helper()
	return Into[User](t, c.Must(t, "PATCH", "/api/user/"+strconv.FormatInt(id, 10), f))
}

// NewUser makes an account with the password Password and gives it together
// with a client that holds a full token of its own.
func (s *Server) NewUser(t testing.TB, f Fields) (User, *Client) {
	t.Helper()
	body := Fields{"role": "user"}
	for k, v := range f {
		body[k] = v
	}
	// Who was given a password chooses another before anything else.
	given := Password + ", for now"
	body["password"] = given
	u := s.Root.CreateUser(t, body)
	Login(t, s.BaseURL, u.Username, given).Must(t, "PATCH", "/api/user/self", Fields{"old_password": given, "password": Password})
	pat := Login(t, s.BaseURL, u.Username, Password).CreatePAT(t, "harness", "full")
	return u, NewClient(s.BaseURL, pat)
}

// Channel is what tests need of a channel's record.
type Channel struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Status int      `json:"status"`
	Models []string `json:"models"`
}

// CreateChannel makes a channel: POST /api/channel/. Kind, keys and groups that
// are not named are "openai", one made-up key and ["default"].
func (c *Client) CreateChannel(t testing.TB, f Fields) Channel {
	t.Helper()
	body := Fields{"kind": "openai", "keys": []string{"upstream-key"}, "groups": []string{"default"}}
	for k, v := range f {
		body[k] = v
	}
	return Into[Channel](t, c.Must(t, "POST", "/api/channel/", body))
}

// PatchChannel changes a channel: PATCH /api/channel/{id}.
func (c *Client) PatchChannel(t testing.TB, id int64, f Fields) Channel {
	t.Helper()
	return Into[Channel](t, c.Must(t, "PATCH", "/api/channel/"+strconv.FormatInt(id, 10), f))
}

// DeleteChannel deletes a channel: DELETE /api/channel/{id}.
func (c *Client) DeleteChannel(t testing.TB, id int64) {
	t.Helper()
	c.Must(t, "DELETE", "/api/channel/"+strconv.FormatInt(id, 10), nil)
}

// PutPrice sets a model's price, USD per 1M tokens: PUT /api/price/{model}.
func (c *Client) PutPrice(t testing.TB, model string, f Fields) {
	t.Helper()
	c.Must(t, "PUT", "/api/price/"+url.PathEscape(model), f)
}

// CreateGroup makes a group: POST /api/group/.
func (c *Client) CreateGroup(t testing.TB, f Fields) {
	t.Helper()
	c.Must(t, "POST", "/api/group/", f)
}

// PutOption sets an option: PUT /api/option/{name}.
func (c *Client) PutOption(t testing.TB, name string, value any) {
	t.Helper()
	c.Must(t, "PUT", "/api/option/"+url.PathEscape(name), Fields{"value": value})
}

// Usage is one usage record.
type Usage struct {
	ID               int64   `json:"id"`
	Time             int64   `json:"time"`
	RequestID        string  `json:"request_id"`
	KeyID            int64   `json:"key_id"`
	KeyName          string  `json:"key_name"`
	UserID           int64   `json:"user_id"`
	Model            string  `json:"model"`
	ServedModel      string  `json:"served_model"`
	ChannelID        int64   `json:"channel_id"`
	Group            string  `json:"group"`
	Dialect          string  `json:"dialect"`
	Endpoint         string  `json:"endpoint"`
	Stream           bool    `json:"stream"`
	Status           int     `json:"status"`
	ErrorCode        string  `json:"error_code"`
	PromptTokens     int64   `json:"prompt_tokens"`
	CachedTokens     int64   `json:"cached_tokens"`
	CacheWriteTokens int64   `json:"cache_write_tokens"`
	CompletionTokens int64   `json:"completion_tokens"`
	ReasoningTokens  int64   `json:"reasoning_tokens"`
	Quota            Decimal `json:"quota"`
	USD              Decimal `json:"usd"`
	Absorbed         Decimal `json:"absorbed"`
	PriceVersion     string  `json:"price_version"`
	Held             Decimal `json:"held"`
	LatencyMS        int64   `json:"latency_ms"`
	FirstByteMS      int64   `json:"first_byte_ms"`
	Attempts         int     `json:"attempts"`
	UsageSource      string  `json:"usage_source"`
	EndUser          string  `json:"end_user"`
	IP               string  `json:"ip"`
}

// Decimal is a decimal number as it was written, whether as a JSON number or in
// a string.
type Decimal string

// UnmarshalJSON takes both forms.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	*d = Decimal(strings.Trim(string(b), `"`))
	return nil
}

// UsageOf waits for the usage record of a request and gives it; one that is
// missing, or there twice, ends the test. The client must be an administrator's.
func (c *Client) UsageOf(t testing.TB, requestID string) Usage {
	t.Helper()
	rows := c.Logs(t, "request_id="+url.QueryEscape(requestID), 1)
	if len(rows) != 1 {
		t.Fatalf("request %s has %d usage records, want 1: %+v", requestID, len(rows), rows)
	}
	return rows[0]
}

// Logs waits until GET /api/log/ with the query lists at least n records and
// gives the first hundred. Records are written up to 200 ms late; after 5 s it
// gives as many as there are.
func (c *Client) Logs(t testing.TB, query string, n int) []Usage {
	t.Helper()
	path := "/api/log/?page_size=100"
	if query != "" {
		path += "&" + query
	}
	deadline := time.NewTimer(5 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		rows := Into[Page[Usage]](t, c.Must(t, "GET", path, nil)).Items
		if len(rows) >= n {
			return rows
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return rows
		}
	}
}

// encode is a request body as bytes.
func encode(body any) ([]byte, error) {
	switch b := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	case string:
		return []byte(b), nil
	}
	return json.Marshal(body)
}
