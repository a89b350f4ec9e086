package channel

import (
	"strings"
	"testing"

	"halley/internal/fault"
)

// aServiceAccount is a key as Google Cloud hands it out, in many lines.
const aServiceAccount = `{
  "type": "service_account",
  "project_id": "my-project",
  "private_key_id": "0123456789abcdef",
  "private_key": "-----BEGIN PRIVATE KEY-----\nTm90aGluZw==\n-----END PRIVATE KEY-----\n",
  "client_email": "me@my-project.iam.gserviceaccount.com",
  "token_uri": "https://oauth2.googleapis.com/token"
}`

func onVertex(change Change) Change {
	change.Kind = new(Vertex)
	if change.BaseURL == nil {
		change.BaseURL = new("https://us-central1-aiplatform.googleapis.com")
	}
	return merged(valid(), change)
}

func TestAServiceAccountsKeyIsKeptInOneLineAndKnownByItsID(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c := b.create(t, onVertex(Change{Keys: new([]string{aServiceAccount})}))
	if key := c.Credentials[0]; strings.ContainsAny(key.Value, "\n\t") || key.Last4 != "cdef" {
		t.Errorf("kept as %s: %q", key.Last4, key.Value)
	}
	if c.Vertex.Project != "my-project" || c.VertexLocation() != "us-central1" {
		t.Errorf("settings %+v, at %s", c.Vertex, c.VertexLocation())
	}
	again, err := b.Update(t.Context(), c.ID, Change{Keys: new([]string{"cdef"}), VertexLocation: new("europe-west4"), VertexProject: new("other")}, nil)
	if err != nil || again.Credentials[0].ID != c.Credentials[0].ID || again.VertexLocation() != "europe-west4" || again.Vertex.Project != "other" {
		t.Errorf("sent back: %+v, %v", again, err)
	}
	account, ok, err := ParseServiceAccount(c.Credentials[0].Value)
	if !ok || err != nil || account.Email != "me@my-project.iam.gserviceaccount.com" || strings.Contains(account.String()+account.GoString(), "PRIVATE") {
		t.Errorf("%v, %v, %v", account, ok, err)
	}
	if masked := string(c.Masked([]byte("it says " + account.PrivateKey + " and more"))); masked != "it says [redacted] and more" {
		t.Errorf("masked to %q", masked)
	}
}

func TestKeysOfVertexAreJudgedWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	without := func(member string) *[]string {
		var lines []string
		for line := range strings.Lines(aServiceAccount) {
			if !strings.Contains(line, `"`+member+`"`) {
				lines = append(lines, line)
			}
		}
		return &[]string{strings.Join(lines, "")}
	}
	for name, row := range map[string]struct {
		change      Change
		code, param string
	}{
		"an API key without a project":     {Change{Keys: new([]string{"AQ.abcdefgh"})}, "", ""},
		"a service account":                {Change{Keys: new([]string{aServiceAccount})}, "", ""},
		"one without a project":            {Change{Keys: without("project_id")}, "project_required", "vertex.project"},
		"one of a named project":           {Change{Keys: without("project_id"), VertexProject: new("example.com:p")}, "", ""},
		"one without a key id":             {Change{Keys: without("private_key_id")}, "invalid_keys", "keys"},
		"one without a private key":        {Change{Keys: without("private_key")}, "invalid_keys", "keys"},
		"a user's credentials":             {Change{Keys: new([]string{`{"type":"authorized_user"}`})}, "invalid_keys", "keys"},
		"half a file":                      {Change{Keys: new([]string{`{"type":`})}, "invalid_keys", "keys"},
		"a token endpoint in our network":  {Change{Keys: new([]string{strings.Replace(aServiceAccount, "oauth2.googleapis.com", "10.0.0.1", 1)})}, "private_token_uri", "keys"},
		"the server's own at Google":       {Change{Keys: new([]string{AmbientKey}), VertexProject: new("p")}, "", ""},
		"the server's own, no project":     {Change{Keys: new([]string{AmbientKey})}, "project_required", "vertex.project"},
		"the server's own elsewhere":       {Change{Keys: new([]string{AmbientKey}), VertexProject: new("p"), BaseURL: new("https://evil-googleapis.com")}, "invalid_keys", "keys"},
		"the server's own without TLS":     {Change{Keys: new([]string{AmbientKey}), VertexProject: new("p"), BaseURL: new("http://aiplatform.googleapis.com")}, "invalid_keys", "keys"},
		"a project that leaves its path":   {Change{VertexProject: new("../x")}, "invalid_vertex", "vertex.project"},
		"a location that leaves its path":  {Change{VertexLocation: new("us/../eu")}, "invalid_vertex", "vertex.location"},
		"the same key at another provider": {Change{Kind: new(OpenAI), Keys: new([]string{"{}"})}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := row.change
			if change.Kind == nil {
				change = onVertex(change)
			}
			_, err := newBundle(t).Create(t.Context(), merged(valid(), change))
			if f := fault.From(err); err == nil && row.code != "" || err != nil && (f.Code != row.code || f.Param != row.param) {
				t.Errorf("%v, want %s", err, row.code)
			}
		})
	}
}

func TestTheServersOwnCredentialsCannotBeSentElsewhereLater(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c := b.create(t, onVertex(Change{Keys: new([]string{AmbientKey}), VertexProject: new("p")}))
	for _, keys := range []*[]string{nil, new([]string{AmbientKey})} {
		if _, err := b.Update(t.Context(), c.ID, Change{BaseURL: new("https://upstream.example"), Keys: keys}, nil); err == nil {
			t.Errorf("moved with keys %v", keys)
		}
	}
}

func TestTheLocationIsWhatTheBaseURLSays(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://europe-west1-aiplatform.googleapis.com": "europe-west1",
		"https://aiplatform.googleapis.com":              "global",
		"https://aiplatform.us.rep.googleapis.com":       "us",
		"https://proxy.example.com/vertex":               "global",
	} {
		if got := (&Channel{BaseURL: base}).VertexLocation(); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}
