package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// text is what scripts match: status line, headers in order, body.
func (a *answer) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", a.status, http.StatusText(a.status))
	names := make([]string, 0, len(a.header))
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range a.header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	b.Write(a.body)
	return b.String()
}

const httpUsage = `usage: http STATUS METHOD PATH [-key KEY] [-pat TOKEN] [-session] [-H 'Name: value']... [-d BODY | -d @FILE]`

// cmdHTTP makes a request and checks the answer's status. What came back can be
// matched with stdout, and with json.
func (s *session) cmdHTTP(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf(httpUsage)
	}
	request, err := s.request(ts, args[1:])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := s.do(request.WithContext(ctx))
	ts.Check(err)
	s.accept(ts, got, args[0])
}

// accept makes an answer the last one, and checks its status.
func (s *session) accept(ts *testscript.TestScript, got *answer, status string) {
	s.last = got
	_, err := io.WriteString(ts.Stdout(), got.text())
	ts.Check(err)
	if strconv.Itoa(got.status) != status {
		ts.Fatalf("got status %d, want %s:\n%s", got.status, status, got.text())
	}
}

// request reads METHOD PATH and the options.
func (s *session) request(ts *testscript.TestScript, args []string) (*http.Request, error) {
	var body []byte
	header := http.Header{}
	for rest := args[2:]; len(rest) > 0; {
		option := rest[0]
		if option == "-session" {
			header.Set("Cookie", s.cookie)
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 {
			return nil, fmt.Errorf("%s lacks its value\n%s", option, httpUsage)
		}
		value := rest[1]
		rest = rest[2:]
		switch option {
		case "-key":
			header.Add("Authorization", "Bearer "+value)
		case "-pat":
			header.Add("Authorization", value)
		case "-H":
			name, text, _ := strings.Cut(value, ":")
			header.Add(name, strings.TrimSpace(text))
		case "-d":
			body = []byte(value)
			if file, ok := strings.CutPrefix(value, "@"); ok {
				var err error
				if body, err = os.ReadFile(ts.MkAbs(file)); err != nil {
					return nil, err
				}
			}
		default:
			return nil, fmt.Errorf("%s is no option\n%s", option, httpUsage)
		}
	}
	url := args[1]
	if strings.HasPrefix(url, "/") {
		url = ts.Getenv("BASE") + url
	}
	r, err := http.NewRequest(args[0], url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		header["Content-Type"] = append(header["Content-Type"], "application/json")
	}
	r.Header = header
	return r, nil
}

// do makes the request on a connection of its own, so that none is left open
// when a server stops.
func (s *session) do(r *http.Request) (*answer, error) {
	connection := new(http.Transport)
	defer connection.CloseIdleConnections()
	client := &http.Client{
		Transport:     connection,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer broke off after %q: %w", body, err)
	}
	var pairs []string
	for _, c := range resp.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if len(pairs) > 0 {
		s.cookie = strings.Join(pairs, "; ")
	}
	if resp.Close {
		resp.Header.Set("Connection", "close") // net/http takes it out
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

// cmdLogin USER PASSWORD VAR signs in and puts a new personal access token with
// full scope into the variable.
func (s *session) cmdLogin(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: login USER PASSWORD VAR")
	}
	who, err := json.Marshal(map[string]string{"username": args[0], "password": args[1]})
	ts.Check(err)
	s.cmdHTTP(ts, []string{"200", "POST", "/api/user/login", "-d", string(who)})
	s.cmdHTTP(ts, []string{"200", "POST", "/api/user/token", "-session", "-d", `{"name":"script","scope":"full","expires_at":-1}`})
	s.cmdJSONGet(ts, []string{"data.token", args[2]})
}

// cmdTOTP SECRET STEPS VAR puts what an authenticator app shows, so many steps of
// 30 seconds from now, into the variable.
func (s *session) cmdTOTP(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: totp SECRET STEPS VAR")
	}
	steps, err := strconv.Atoi(args[1])
	ts.Check(err)
	code, err := totp.GenerateCode(args[0], time.Now().Add(time.Duration(steps)*30*time.Second))
	ts.Check(err)
	ts.Setenv(args[2], code)
}

// cmdJSON PATH VALUE checks a value in the last answer's body. PATH is names
// and indexes between dots ("data.items.0.id", "data.items.len" for how many);
// VALUE is a text as it is, other JSON as compact JSON, "absent" for what is
// not there, or ~ and a regular expression for all of it.
func (s *session) cmdJSON(ts *testscript.TestScript, args []string) {
	if len(args) != 2 || s.last == nil {
		ts.Fatalf("usage: json PATH VALUE, after http")
	}
	got, err := lookUp(s.last.body, args[0])
	ts.Check(err)
	if !matches(got, args[1]) {
		ts.Fatalf("%s is %s, want %s in:\n%s", args[0], got, args[1], s.last.body)
	}
}

// cmdJSONGet PATH VAR puts a value of the last answer's body into a variable.
func (s *session) cmdJSONGet(ts *testscript.TestScript, args []string) {
	if len(args) != 2 || s.last == nil {
		ts.Fatalf("usage: jsonget PATH VAR, after http")
	}
	got, err := lookUp(s.last.body, args[0])
	ts.Check(err)
	if got == "absent" {
		ts.Fatalf("there is no %s in:\n%s", args[0], s.last.body)
	}
	ts.Setenv(args[1], got)
}

// cmdAwait PATH VALUE METHOD URL… asks until the answer's JSON has the value:
// for what follows soon after, such as usage rows.
func (s *session) cmdAwait(ts *testscript.TestScript, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: await JSONPATH VALUE METHOD PATH [options of http]")
	}
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		request, err := s.request(ts, args[2:])
		ts.Check(err)
		got, err := s.do(request)
		ts.Check(err)
		value, err := lookUp(got.body, args[0])
		ts.Check(err)
		if matches(value, args[1]) {
			s.last = got
			_, err := io.WriteString(ts.Stdout(), got.text())
			ts.Check(err)
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s is still %s after %v, want %s in:\n%s", args[0], value, patience, args[1], got.text())
		}
	}
}

// cmdExtract REGEXP VAR puts what the first group matches in the last stdout
// into a variable.
func (s *session) cmdExtract(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: extract REGEXP VAR")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no match for %s", args[0])
	}
	ts.Setenv(args[1], found[1])
}

// lookUp finds the value at a path of a JSON document.
func lookUp(body []byte, path string) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", fmt.Errorf("not JSON: %w\n%s", err, body)
	}
	for _, name := range strings.Split(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			member, ok := v[name]
			if !ok {
				return "absent", nil
			}
			value = member
		case []any:
			if name == "len" {
				value = json.Number(strconv.Itoa(len(v)))
				continue
			}
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) {
				return "absent", nil
			}
			value = v[i]
		default:
			return "absent", nil
		}
	}
	if text, ok := value.(string); ok {
		return text, nil
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSuffix(out.String(), "\n"), err
}

// matches compares with a value, or with a regular expression after ~.
func matches(got, want string) bool {
	if pattern, ok := strings.CutPrefix(want, "~"); ok {
		re, err := regexp.Compile("^(?s:" + pattern + ")$")
		return err == nil && re.MatchString(got)
	}
	return got == want
}
