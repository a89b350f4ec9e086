package price

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/fault"
	"halley/internal/money"
)

func TestNumbersAreReadFromTheirDigits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		literal string
		want    money.Pico
	}{
		{"0", 0},
		{"-0", 0},
		{"0.0", 0},
		{"0e999999999999", 0},
		{"2.5", 2_500_000},
		{`"2.5"`, 2_500_000},
		{"0.000001", 1},
		{"1e-6", 1},
		{"1E-06", 1},
		{"0.0000010000000", 1},
		{"2.5e1", 25_000_000},
		{"1e+6", money.MaxPico},
		{"1000000", money.MaxPico},
		{"1000000.000000", money.MaxPico},
		{"0.000000000000000001e15", 1_000},
		// The nearest binary fractions of these are not the numbers themselves.
		{"0.1", 100_000},
		{"0.003625", 3_625},
		{"999999.999999", money.MaxPico - 1},
	} {
		t.Run(c.literal, func(t *testing.T) {
			t.Parallel()
			d, err := ParseDefinition([]byte(`{"input":` + c.literal + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := d.Rates.Get(Input); !ok || got != c.want {
				t.Errorf("%s is %d, want %d", c.literal, got, c.want)
			}
		})
	}
}

func TestAFeeHasNanoUSD(t *testing.T) {
	t.Parallel()
	d, err := ParseDefinition([]byte(`{"per_request":0.000000001}`))
	if err != nil || d.PerRequest == nil || *d.PerRequest != 1 {
		t.Errorf("got %v, %v", d.PerRequest, err)
	}
}

func TestBadDefinitionsNameTheField(t *testing.T) {
	t.Parallel()
	big := func(n int) string { return strings.Repeat("9", n) }
	for _, c := range []struct {
		name, body string
		kind       fault.Kind
		code       string
		field      string
	}{
		{"empty", ``, fault.Malformed, "invalid_body", ""},
		{"null", `null`, fault.Malformed, "invalid_body", ""},
		{"a list", `[]`, fault.Malformed, "invalid_body", ""},
		{"a number", `3`, fault.Malformed, "invalid_body", ""},
		{"cut off", `{"input":1`, fault.Malformed, "invalid_body", ""},
		{"more after it", `{"input":1}{}`, fault.Malformed, "invalid_body", ""},
		{"not UTF-8", "{\"input\":\"\xff\"}", fault.Malformed, "invalid_body", ""},
		{"nested without end", strings.Repeat(`{"a":`, 100_000), fault.Malformed, "invalid_body", ""},
		{"NaN", `{"input":NaN}`, fault.Malformed, "invalid_body", ""},
		{"a leading zero", `{"input":01}`, fault.Malformed, "invalid_body", ""},
		{"given twice", `{"input":1,"input":2}`, fault.Malformed, "invalid_type", "input"},
		{"null price", `{"input":null}`, fault.Malformed, "invalid_type", "input"},
		{"boolean price", `{"output":true}`, fault.Malformed, "invalid_type", "output"},
		{"list price", `{"cache_read":[1]}`, fault.Malformed, "invalid_type", "cache_read"},
		{"object price", `{"cache_write_5m":{}}`, fault.Malformed, "invalid_type", "cache_write_5m"},
		{"word price", `{"cache_write_1h":"cheap"}`, fault.Malformed, "invalid_type", "cache_write_1h"},
		{"NaN in a string", `{"audio_input":"NaN"}`, fault.Malformed, "invalid_type", "audio_input"},
		{"infinity in a string", `{"audio_input":"-Infinity"}`, fault.Malformed, "invalid_type", "audio_input"},
		{"hexadecimal in a string", `{"audio_output":"0x10"}`, fault.Malformed, "invalid_type", "audio_output"},
		{"space in a string", `{"audio_output":" 1"}`, fault.Malformed, "invalid_type", "audio_output"},
		{"an exponent of nothing", `{"audio_output":"1e"}`, fault.Malformed, "invalid_type", "audio_output"},
		{"empty string", `{"image_input":""}`, fault.Invalid, "invalid_price", "image_input"},
		{"blank string", `{"image_input":"  "}`, fault.Invalid, "invalid_price", "image_input"},
		{"negative", `{"image_output":-1}`, fault.Invalid, "invalid_price", "image_output"},
		{"hugely negative", `{"image_output":-1e300}`, fault.Invalid, "invalid_price", "image_output"},
		{"negative in a string", `{"reasoning_output":"-0.5"}`, fault.Invalid, "invalid_price", "reasoning_output"},
		{"too fine", `{"input":0.0000001}`, fault.Invalid, "invalid_price", "input"},
		{"too fine by exponent", `{"input":1e-999999999999}`, fault.Invalid, "invalid_price", "input"},
		{"over the limit", `{"input":1000000.000001}`, fault.Invalid, "invalid_price", "input"},
		{"2^53", `{"input":9007199254740992}`, fault.Invalid, "invalid_price", "input"},
		{"2^63", `{"input":9223372036854775808}`, fault.Invalid, "invalid_price", "input"},
		{"a huge exponent", `{"input":1e999999999999999999999999}`, fault.Invalid, "invalid_price", "input"},
		{"many digits", `{"input":` + big(5000) + `}`, fault.Invalid, "invalid_price", "input"},
		{"fee too fine", `{"per_request":0.0000000001}`, fault.Invalid, "invalid_price", "per_request"},
		{"fee over the limit", `{"per_request":1000001}`, fault.Invalid, "invalid_price", "per_request"},
		{"negative fee", `{"per_request":-0.01}`, fault.Invalid, "invalid_price", "per_request"},
		{"half an output token", `{"max_output_tokens":1.5}`, fault.Malformed, "invalid_type", "max_output_tokens"},
		{"output tokens in a string", `{"max_output_tokens":"100"}`, fault.Malformed, "invalid_type", "max_output_tokens"},
		{"null output tokens", `{"max_output_tokens":null}`, fault.Malformed, "invalid_type", "max_output_tokens"},
		{"output tokens beyond 64 bits", `{"max_output_tokens":9223372036854775808}`, fault.Malformed, "invalid_type", "max_output_tokens"},
		{"no output tokens", `{"max_output_tokens":0}`, fault.Invalid, "invalid_price", "max_output_tokens"},
		{"negative output tokens", `{"max_output_tokens":-1}`, fault.Invalid, "invalid_price", "max_output_tokens"},
		{"too many output tokens", `{"max_output_tokens":9223372036854775807}`, fault.Invalid, "invalid_price", "max_output_tokens"},
		{"mode of a wrong type", `{"mode":1}`, fault.Malformed, "invalid_type", "mode"},
		{"null mode", `{"mode":null}`, fault.Malformed, "invalid_type", "mode"},
		{"empty mode", `{"mode":""}`, fault.Invalid, "invalid_price", "mode"},
		{"control characters", `{"vendor":"a\u0000b"}`, fault.Invalid, "invalid_price", "vendor"},
		{"an emoji", `{"vendor":"🚀"}`, fault.Invalid, "invalid_price", "vendor"},
		{"features not a list", `{"features":"vision"}`, fault.Malformed, "invalid_type", "features"},
		{"a feature of a wrong type", `{"features":["vision",7]}`, fault.Malformed, "invalid_type", "features[1]"},
		{"long prompts not a list", `{"above_prompt_tokens":{}}`, fault.Malformed, "invalid_type", "above_prompt_tokens"},
		{"null long prompts", `{"above_prompt_tokens":null}`, fault.Malformed, "invalid_type", "above_prompt_tokens"},
		{"a long prompt not an object", `{"above_prompt_tokens":[5]}`, fault.Malformed, "invalid_type", "above_prompt_tokens[0]"},
		{"a null long prompt", `{"above_prompt_tokens":[null]}`, fault.Malformed, "invalid_type", "above_prompt_tokens[0]"},
		{"a long prompt without threshold", `{"above_prompt_tokens":[{"input":1}]}`, fault.Invalid, "price_required", "above_prompt_tokens[0].over"},
		{"a threshold of 0", `{"above_prompt_tokens":[{"over":0,"input":1}]}`, fault.Invalid, "invalid_price", "above_prompt_tokens[0].over"},
		{"a long prompt without price", `{"above_prompt_tokens":[{"over":1}]}`, fault.Invalid, "price_required", "above_prompt_tokens[0]"},
		{"a threshold twice", `{"above_prompt_tokens":[{"over":1,"input":1},{"over":1,"input":2}]}`, fault.Invalid, "invalid_price", "above_prompt_tokens[1].over"},
		{"a bad price inside", `{"above_prompt_tokens":[{"over":1,"input":-1}]}`, fault.Invalid, "invalid_price", "above_prompt_tokens[0].input"},
		{"too many long prompts", `{"above_prompt_tokens":[` + strings.Repeat("{},", 16) + `{}]}`, fault.Invalid, "invalid_price", "above_prompt_tokens"},
		{"service tiers not an object", `{"service_tiers":[]}`, fault.Malformed, "invalid_type", "service_tiers"},
		{"a tier not an object", `{"service_tiers":{"flex":1}}`, fault.Malformed, "invalid_type", "service_tiers.flex"},
		{"a null tier", `{"service_tiers":{"flex":null}}`, fault.Malformed, "invalid_type", "service_tiers.flex"},
		{"an empty tier", `{"service_tiers":{"flex":{}}}`, fault.Invalid, "price_required", "service_tiers.flex"},
		{"a tier that is standard", `{"service_tiers":{"default":{"input":1}}}`, fault.Invalid, "invalid_price", "service_tiers.default"},
		{"a tier without a name", `{"service_tiers":{"":{"input":1}}}`, fault.Invalid, "invalid_price", "service_tiers"},
		{"a price given twice in a tier", `{"service_tiers":{"flex":{"input":1,"input":2}}}`, fault.Malformed, "invalid_type", "service_tiers.flex.input"},
		{"a bad price in a tier", `{"service_tiers":{"flex":{"output":null}}}`, fault.Malformed, "invalid_type", "service_tiers.flex.output"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseDefinition([]byte(c.body))
			bad, ok := errors.AsType[*fault.Error](err)
			if !ok || bad.Kind != c.kind || bad.Code != c.code || bad.Param != c.field {
				t.Fatalf("got %#v, want kind %d, code %s, field %q", err, c.kind, c.code, c.field)
			}
			if !strings.HasPrefix(bad.Message, c.field) || !strings.HasSuffix(bad.Message, ".") && !strings.HasSuffix(bad.Message, ").") {
				t.Errorf("message %q does not name %q in a sentence", bad.Message, c.field)
			}
		})
	}
}

func TestUnknownMembersAreIgnored(t *testing.T) {
	t.Parallel()
	d, err := ParseDefinition([]byte(`{"input":1,"model":"x","version":7,"source":null,"Input":9,"extra":{"a":[1]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DefinitionView{Input: "1"}, d.View()); diff != "" {
		t.Error(diff)
	}
}

func TestADefinitionMustSayWhatEverySideCosts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, mode, field string }{
		{`{}`, "chat", "input"},
		{`{"output":1}`, "chat", "input"},
		{`{"input":1}`, "chat", "output"},
		{`{"input":1,"cache_read":0.1,"reasoning_output":2}`, "chat", "output"},
		{`{"output":1}`, ModeEmbedding, "input"},
		{`{"input":1}`, ModeEmbedding, ""},
		{`{"input":0,"output":0}`, "chat", ""},
		{`{"per_request":0.04}`, "chat", ""},
		{`{"per_request":0}`, "chat", ""},
	} {
		t.Run(c.mode+" "+c.body, func(t *testing.T) {
			t.Parallel()
			d, err := ParseDefinition([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			err = d.Complete(c.mode)
			bad, _ := errors.AsType[*fault.Error](err)
			switch {
			case c.field == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.field != "" && (bad == nil || bad.Kind != fault.Invalid || bad.Code != "price_required" || bad.Param != c.field):
				t.Errorf("got %#v, want 422 for %s", err, c.field)
			}
		})
	}
}

func TestModelNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gpt-4o", "x", "meta-llama/Llama-3.3-70B", "a b", "claude:beta", "模型", strings.Repeat("é", 200)} {
		if err := CheckModel(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", " a", "a ", "a\u00a0", "a\tb", "a\x00", "a\n", "\x7f", "\xff", "a\u0085b", strings.Repeat("é", 201)} {
		err := CheckModel(name)
		if bad, ok := errors.AsType[*fault.Error](err); !ok || bad.Kind != fault.Invalid || bad.Code != "invalid_model" || bad.Param != "model" {
			t.Errorf("%q: got %#v", name, err)
		}
	}
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drawDefinition(t)
		d.Mode = rapid.SampledFrom([]string{"", "chat", ModeEmbedding}).Draw(t, "mode")
		d.Vendor = rapid.SampledFrom([]string{"", "openai"}).Draw(t, "vendor")
		d.Features = rapid.SampledFrom([][]string{nil, {"vision"}}).Draw(t, "features")
		d.MaxInputTokens = rapid.Int64Range(0, maxTokenCount).Draw(t, "max in")
		d.MaxOutputTokens = rapid.Int64Range(0, maxTokenCount).Draw(t, "max out")
		d.Created = rapid.Int64Range(0, maxTokenCount).Draw(t, "created")
		text, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseDefinition(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(d, back, cmp.AllowUnexported(Rates{})); diff != "" {
			t.Fatalf("%s:\n%s", text, diff)
		}
	})
}

func FuzzParseDefinition(f *testing.F) {
	f.Add([]byte(`{"input":1,"output":"2.5","cache_read":1e-3,"per_request":0.01}`))
	f.Add([]byte(`{"input":0,"above_prompt_tokens":[{"over":200000,"input":4}],"service_tiers":{"flex":{"input":1}}}`))
	f.Add([]byte(`{"input":null,"mode":"embedding","features":["a"],"max_output_tokens":1.5}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := ParseDefinition(body)
		if err != nil {
			bad, ok := errors.AsType[*fault.Error](err)
			if !ok || bad.Kind != fault.Malformed && bad.Kind != fault.Invalid {
				t.Fatalf("%q: %v is not the caller's fault", body, err)
			}
			return
		}
		text, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseDefinition(text)
		if err != nil {
			t.Fatalf("%s does not read back: %v", text, err)
		}
		if diff := cmp.Diff(d, back, cmp.AllowUnexported(Rates{})); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzExactly(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "1e9", "1E-6", "0.0000001", "1e+", "1e99999999999999999999", "..", "1.e5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := exactly(s, 6)
		if len(s) > 30 || strings.ContainsAny(s, "eE") && len(s) > 12 {
			return // too far for arbitrary precision
		}
		want, ok := new(big.Rat).SetString(s)
		if err == nil && (!ok || want.Cmp(big.NewRat(v, 1_000_000)) != 0) {
			t.Errorf("%q is %d", s, v)
		}
	})
}
