package translate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// fedIn is the text of arguments that come in pieces.
func fedIn(pieces ...string) string {
	var f freeText
	var out strings.Builder
	for _, p := range pieces {
		out.WriteString(f.feed(p))
	}
	out.WriteString(f.end())
	return out.String()
}

func TestFreeTextIsWhatTheInputHolds(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		`{"input":"a\nb"}`:                                    "a\nb",
		" {\n \"input\" : \"x\" } ":                           "x",
		`{"input":"\u00e9 \ud83d\ude00 \/ \\ \" \t\r\b\f"}`:   "é 😀 / \\ \" \t\r\b\f",
		`{"input":"half \ud83d and on \ude00"}`:               "half \uFFFD and on \uFFFD",
		`{"input":"half \ud83d\n"}`:                           "half \uFFFD\n",
		`{"input":"half \ud83d"}`:                             "half \uFFFD",
		`{"why":{"input":"no","x":["}\"",{}]},"input":"yes"}`: "yes",
		`{"n":1,"input":"yes","more":"no"}`:                   "yes",
		`{"in\"put":"no","input":""}`:                         "",
		`{}`:                                                  "",
		`{ }`:                                                 "",
		``:                                                    "",
		"*** Begin Patch\n":                                   "*** Begin Patch\n",
		`"quoted"`:                                            `"quoted"`,
		`{"patch":"x"}`:                                       `{"patch":"x"}`,
		`{"input":{"a":1}}`:                                   `{"input":{"a":1}}`,
		`{"input":"cut of`:                                    "cut of",
		`{"input":"cut \`:                                     "cut ",
	} {
		if got := fedIn(args); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
		if got := fedIn(strings.Split(args, "")...); got != want && utf8.ValidString(args) {
			t.Errorf("%s in pieces: %q, want %q", args, got, want)
		}
	}
}

// However arguments are cut, their text is the same, and it is the one that was
// wrapped.
func FuzzFreeText(f *testing.F) {
	for _, seed := range []string{"", "a\"b\\c\n", "😀é", `{"input":"x"}`, `{"a":{"b":[1]},"input":"\ud83d"}`, "*** Begin"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		cut = min(max(cut, 0), len(text))
		if whole, cutUp := fedIn(text), fedIn(text[:cut], text[cut:]); whole != cutUp {
			t.Errorf("%q: %q, cut %q", text, whole, cutUp)
		}
		if !utf8.ValidString(text) {
			return
		}
		args := freeTextArguments(text)
		cut = min(cut, len(args))
		if got := fedIn(args[:cut], args[cut:]); got != text {
			t.Errorf("%q became %q", text, got)
		}
		var asWritten struct {
			Input *string `json:"input"`
		}
		if err := json.Unmarshal([]byte(args), &asWritten); err != nil || *asWritten.Input != text {
			t.Errorf("%q is written as %s", text, args)
		}
	})
}

var allTake = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$`)

func TestToolNamesAreTakenByAllAndTellToolsApart(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 7))
	words := []string{"a", "b", "a__b", "b__c", "functions", "grüße", "x.y/z", "0day", "-", strings.Repeat("long_", 20), "get weather"}
	for range 500 {
		var n toolNames
		for range 1 + random.IntN(12) {
			k := toolKey{name: words[random.IntN(len(words))]}
			if random.IntN(2) > 0 {
				k.namespace = words[random.IntN(len(words))]
			}
			n.add(k)
		}
		n.settle()
		seen := map[string]toolKey{}
		for k, name := range n.flat {
			if !allTake.MatchString(name) {
				t.Fatalf("%v became %q", k, name)
			}
			if other, taken := seen[name]; taken {
				t.Fatalf("%v and %v both became %q", k, other, name)
			}
			seen[name] = k
			if k.namespace == "" && allTake.MatchString(k.name) && name != k.name {
				t.Fatalf("%v became %q without need", k, name)
			}
		}
		back := toolNames{}
		for _, k := range slices.Backward(n.keys) {
			back.add(k)
		}
		if back.settle(); fmt.Sprint(back.flat) != fmt.Sprint(n.flat) {
			t.Fatalf("in another order: %v, %v", n.flat, back.flat)
		}
	}
}

// rules are those of an upstream that knows functions and a web search.
func rules() *ToolRules {
	return &ToolRules{Lacks: func(t *Tool, _ bool) string {
		if t.Kind == WebSearch {
			return ""
		}
		return "It has no " + t.Name + "."
	}}
}

func TestAToolThatNobodyRunsIsLeftOutUnlessTheAnswerDependsOnIt(t *testing.T) {
	t.Parallel()
	function := Tool{Kind: Function, Name: "f"}
	files := Tool{Kind: OtherTool, Name: "file_search", Raw: jsontext.Value(`{}`)}
	search := Tool{Kind: WebSearch, Name: "web_search", Raw: jsontext.Value(`{}`)}
	for name, c := range map[string]struct {
		tools   []Tool
		choice  *ToolChoice
		left    string
		refused bool
	}{
		"among functions":          {[]Tool{function, files}, nil, "f", false},
		"beside a search":          {[]Tool{files, search}, nil, "web_search", false},
		"alone":                    {[]Tool{files}, nil, "", true},
		"alone, and not to call":   {[]Tool{files}, &ToolChoice{Mode: ChooseNone}, "", false},
		"one that must be called":  {[]Tool{function, files}, &ToolChoice{Mode: ChooseNamed, Name: "file_search"}, "", true},
		"another must be called":   {[]Tool{function, files}, &ToolChoice{Mode: ChooseNamed, Name: "f"}, "f", false},
		"any must be called":       {[]Tool{function, files}, &ToolChoice{Mode: ChooseAny}, "f", false},
		"any of those must be":     {[]Tool{files}, &ToolChoice{Mode: ChooseAny}, "", true},
		"none is missing":          {[]Tool{function, search}, nil, "f web_search", false},
		"a search of the provider": {[]Tool{{Kind: ToolSearch, Name: "tool_search"}, function}, nil, "f", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conversation := &Conversation{Tools: c.tools, ToolChoice: c.choice}
			conversation.Name(FeatureServerTool, "tools")
			fitted, err := conversation.Fit(rules())
			if (err != nil) != c.refused {
				t.Fatal(err)
			}
			if err != nil {
				if refusal, ok := err.(*Unsupported); !ok || refusal.Field != "tools" || refusal.Why != "It has no file_search." {
					t.Errorf("%#v", err)
				}
				return
			}
			var left []string
			for _, tool := range fitted.Conversation.Tools {
				left = append(left, tool.Name)
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("%s is left", got)
			}
			dropped := fitted.Conversation.TakeDropped()
			if name == "none is missing" == (len(dropped) > 0) {
				t.Errorf("%v is told", dropped)
			}
			if len(conversation.Tools) != len(c.tools) || len(conversation.TakeDropped()) > 0 {
				t.Error("the conversation has changed")
			}
		})
	}
}

func TestGrammarsAreToldWhereTheyCannotBeKept(t *testing.T) {
	t.Parallel()
	c := &Conversation{Tools: []Tool{
		{Kind: Custom, Name: "plain", Raw: jsontext.Value(`{}`)},
		{Kind: Custom, Name: "patch", Description: "Edits.", Grammar: &Grammar{"lark", `start: "x"`}, Raw: jsontext.Value(`{}`)},
	}}
	c.Name(FeatureCustomTool, "tools")
	fitted, err := c.Fit(rules())
	if err != nil {
		t.Fatal(err)
	}
	plain, patch := fitted.Conversation.Tools[0], fitted.Conversation.Tools[1]
	if plain.Kind != Function || patch.Kind != Function || patch.Raw != nil || string(patch.Schema) != freeTextSchema {
		t.Errorf("%+v, %+v", plain, patch)
	}
	if !strings.HasPrefix(patch.Description, "Edits.\n\n") || !strings.HasSuffix(patch.Description, "Lark grammar:\n\nstart: \"x\"") {
		t.Error(patch.Description)
	}
	if strings.Contains(plain.Description, "grammar") {
		t.Error(plain.Description)
	}
	if got := fitted.Conversation.TakeDropped(); len(got) != 1 || got[0] != "tools.format" {
		t.Errorf("%v is told", got)
	}
	kept, err := c.Fit(&ToolRules{FreeText: true, Lacks: rules().Lacks})
	if err != nil || kept.Conversation.Tools[1].Kind != Custom || len(kept.Conversation.TakeDropped()) > 0 {
		t.Errorf("where it can be kept: %+v, %v", kept.Conversation.Tools, err)
	}
}

func TestTheChoiceOfToolsIsByTheirNamesUpstream(t *testing.T) {
	t.Parallel()
	c := &Conversation{Tools: []Tool{
		{Kind: Namespace, Name: "crm", Tools: []Tool{{Kind: Function, Name: "find"}, {Kind: Function, Name: "add"}}},
		{Kind: Function, Name: "other"},
	}}
	for _, choice := range []struct {
		said ToolChoice
		want ToolChoice
	}{
		{ToolChoice{Mode: ChooseNamed, Name: "find", Namespace: "crm"}, ToolChoice{Mode: ChooseNamed, Name: "crm__find"}},
		{ToolChoice{Mode: ChooseNamed, Name: "add", Raw: jsontext.Value(`{}`)}, ToolChoice{Mode: ChooseNamed, Name: "crm__add"}},
		{ToolChoice{Mode: ChooseAuto, Allowed: []string{"crm"}}, ToolChoice{Allowed: []string{"crm__find", "crm__add"}}},
		{ToolChoice{Mode: ChooseAny, Allowed: []string{"other", "add"}}, ToolChoice{Mode: ChooseAny, Allowed: []string{"crm__add", "other"}}},
	} {
		c.ToolChoice = &choice.said
		fitted, err := c.Fit(rules())
		if err != nil {
			t.Fatal(err)
		}
		if got := *fitted.Conversation.ToolChoice; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", choice.want) {
			t.Errorf("%+v became %+v", choice.said, got)
		}
	}
}

func TestWhatEveryUpstreamTakesIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := &Conversation{
		Tools:    []Tool{{Kind: Function, Name: "get_weather"}},
		Messages: []Message{{Role: Assistant, Parts: []Part{&ToolCall{ID: "1", Name: "get_weather"}}}, {Role: User, Parts: []Part{&ToolResult{CallID: "1"}}}},
	}
	fitted, err := c.Fit(rules())
	if err != nil || fitted.Conversation != c {
		t.Errorf("%+v, %v", fitted, err)
	}
}
