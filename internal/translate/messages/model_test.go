package messages

import "testing"

func TestAModelsNameTellsItsFamilyAndVersion(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]model{
		"claude-sonnet-4-5-20250929":                   {true, "sonnet", 45},
		"claude-sonnet-4-5":                            {true, "sonnet", 45},
		"claude-opus-4-20250514":                       {true, "opus", 40},
		"claude-sonnet-4-0":                            {true, "sonnet", 40},
		"claude-3-7-sonnet-20250219":                   {true, "sonnet", 37},
		"claude-3-haiku-20240307":                      {true, "haiku", 30},
		"us.anthropic.claude-3-5-sonnet-20240620-v1:0": {true, "sonnet", 35},
		"anthropic.claude-opus-4-6-v1":                 {true, "opus", 46},
		"claude-3-5-sonnet-v2@20241022":                {true, "sonnet", 35},
		"claude-sonnet-4@20250514":                     {true, "sonnet", 40},
		"anthropic/claude-opus-4.8":                    {true, "opus", 48},
		"claude-fable-5":                               {true, "fable", 50},
		"claude-opus-5-5":                              {true, "opus", 55},
		"claude-mythos-preview":                        {true, "mythos", 51},
		"claude-2.1":                                   {true, "", 21},
		"claude":                                       {true, "", 0},
		"deepseek-chat":                                {},
	} {
		if got := modelOf(name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
