package messages

import (
	"slices"
	"strings"
)

// betas are the anthropic-beta values that the clouds take: an unknown one makes
// them refuse the request. They are those that the clouds' references and
// LiteLLM's table of them name (litellm/anthropic_beta_headers_config.json,
// October 2026); "" is one that is not taken, and another value is the cloud's
// own name for it. Those that are not in the list are not taken.
var betas = [...]struct{ value, vertex, bedrock string }{
	{"advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"},
	{"compact-2026-01-12", "compact-2026-01-12", "compact-2026-01-12"},
	{"compact-2026-09-04", "compact-2026-09-04", "compact-2026-09-04"},
	{"computer-use-2025-01-24", "computer-use-2025-01-24", "computer-use-2025-01-24"},
	{"computer-use-2025-11-24", "computer-use-2025-11-24", "computer-use-2025-11-24"},
	{"context-1m-2025-08-07", "context-1m-2025-08-07", "context-1m-2025-08-07"},
	{"context-management-2025-06-27", "context-management-2025-06-27", "context-management-2025-06-27"},
	{"dangerous-tool-use-2026-09-03", "dangerous-tool-use-2026-09-03", "dangerous-tool-use-2026-09-03"},
	{"effort-2025-11-24", "", "effort-2025-11-24"},
	{"fine-grained-tool-streaming-2025-05-14", "", "fine-grained-tool-streaming-2025-05-14"},
	{"interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"},
	{"mid-conversation-output-config-2026-07-01", "", "mid-conversation-output-config-2026-07-01"},
	{"mid-conversation-tool-changes-2026-07-01", "", "mid-conversation-tool-changes-2026-07-01"},
	{"per-turn-control-2026-07-01", "per-turn-control-2026-07-01", ""},
	{"thinking-binding-controls-2026-08-01", "thinking-binding-controls-2026-08-01", "thinking-binding-controls-2026-08-01"},
	{"thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18"},
	{"tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"},
	{"web-search-2025-03-05", "web-search-2025-03-05", ""},
}

// Betas is what of a client's anthropic-beta values goes to a platform, and what
// does not. Each value may be a list with commas, as headers are. Anthropic's own
// API gets all of them.
func (p Platform) Betas(values []string) (kept, left []string) {
	for _, list := range values {
		for value := range strings.SplitSeq(list, ",") {
			value = strings.TrimSpace(value)
			if value == "" {
				continue
			}
			if name := p.beta(value); name == "" {
				left = append(left, value)
			} else if !slices.Contains(kept, name) {
				kept = append(kept, name)
			}
		}
	}
	return kept, left
}

func (p Platform) beta(value string) string {
	if p == Direct {
		return value
	}
	for _, b := range betas {
		if b.value != value {
			continue
		}
		if p == Vertex {
			return b.vertex
		}
		return b.bedrock
	}
	return ""
}
