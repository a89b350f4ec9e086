package channel

import "slices"

// Preset is a provider that many use, by what a channel to it needs.
type Preset struct {
	ID      string // what Fill is told
	Name    string
	Kind    Kind
	BaseURL string   // empty where everybody has another one
	Example string   // what BaseURL looks like where it is empty
	Models  []string // what it serves; empty where that is the operator's choice
	Local   bool     // a server of one's own, which private addresses must be allowed for
	NoKey   bool     // it usually wants no upstream key
	API     API      // of OpenAI's text endpoints; empty is ChatOnly
}

// Presets are the providers there are, in the order of their ids. The base URLs
// are those that the providers document for OpenAI's SDKs.
func Presets() []Preset { return slices.Clone(presets[:]) }

// presets are never written to.
var presets = [...]Preset{
	{ID: "alibaba", Name: "Alibaba Model Studio (Qwen)", Kind: OpenAI, BaseURL: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"},
	{ID: "anthropic", Name: "Anthropic", Kind: Anthropic, BaseURL: "https://api.anthropic.com"},
	{ID: "azure", Name: "Azure OpenAI (deployments)", Kind: Azure, Example: "https://NAME.openai.azure.com"},
	{ID: "azure-v1", Name: "Azure OpenAI (v1 API)", Kind: Azure, Example: "https://NAME.openai.azure.com/openai/v1"},
	{ID: "bedrock", Name: "Amazon Bedrock", Kind: Bedrock, Example: "https://bedrock-runtime.us-east-1.amazonaws.com"},
	{ID: "cerebras", Name: "Cerebras", Kind: OpenAI, BaseURL: "https://api.cerebras.ai/v1"},
	{ID: "cohere", Name: "Cohere", Kind: Cohere, BaseURL: "https://api.cohere.com"},
	{ID: "deepinfra", Name: "DeepInfra", Kind: OpenAI, BaseURL: "https://api.deepinfra.com/v1/openai"},
	{ID: "deepseek", Name: "DeepSeek", Kind: OpenAI, BaseURL: "https://api.deepseek.com/v1"},
	{ID: "demo", Name: "Demo (built in)", Kind: Demo, NoKey: true, Models: []string{"demo-echo", "demo-*"}},
	{ID: "fireworks", Name: "Fireworks AI", Kind: OpenAI, BaseURL: "https://api.fireworks.ai/inference/v1"},
	{ID: "gemini", Name: "Google Gemini", Kind: Gemini, BaseURL: "https://generativelanguage.googleapis.com"},
	{ID: "gemini-openai", Name: "Google Gemini (OpenAI-compatible)", Kind: OpenAI, BaseURL: "https://generativelanguage.googleapis.com/v1beta/openai"},
	{ID: "github", Name: "GitHub Models", Kind: OpenAI, BaseURL: "https://models.github.ai/inference"},
	{ID: "groq", Name: "Groq", Kind: OpenAI, BaseURL: "https://api.groq.com/openai/v1"},
	{ID: "huggingface", Name: "Hugging Face Inference Providers", Kind: OpenAI, BaseURL: "https://router.huggingface.co/v1"},
	{ID: "llamacpp", Name: "llama.cpp server", Kind: OpenAI, BaseURL: "http://localhost:8080/v1", Local: true, NoKey: true},
	{ID: "lmstudio", Name: "LM Studio", Kind: OpenAI, BaseURL: "http://localhost:1234/v1", Local: true, NoKey: true},
	{ID: "mistral", Name: "Mistral AI", Kind: OpenAI, BaseURL: "https://api.mistral.ai/v1"},
	{ID: "moonshot", Name: "Moonshot AI (Kimi)", Kind: OpenAI, BaseURL: "https://api.moonshot.ai/v1"},
	{ID: "nvidia", Name: "NVIDIA NIM", Kind: OpenAI, BaseURL: "https://integrate.api.nvidia.com/v1"},
	{ID: "ollama", Name: "Ollama", Kind: OpenAI, BaseURL: "http://localhost:11434/v1", Local: true, NoKey: true},
	{ID: "openai", Name: "OpenAI", Kind: OpenAI, BaseURL: "https://api.openai.com/v1", API: ChatAndResponses},
	{ID: "openrouter", Name: "OpenRouter", Kind: OpenAI, BaseURL: "https://openrouter.ai/api/v1"},
	{ID: "perplexity", Name: "Perplexity", Kind: OpenAI, BaseURL: "https://api.perplexity.ai"},
	{ID: "sambanova", Name: "SambaNova", Kind: OpenAI, BaseURL: "https://api.sambanova.ai/v1"},
	{ID: "siliconflow", Name: "SiliconFlow", Kind: OpenAI, BaseURL: "https://api.siliconflow.com/v1"},
	{ID: "together", Name: "Together AI", Kind: OpenAI, BaseURL: "https://api.together.xyz/v1"},
	{ID: "vertex", Name: "Google Vertex AI", Kind: Vertex, BaseURL: "https://aiplatform.googleapis.com"},
	{ID: "vllm", Name: "vLLM", Kind: OpenAI, BaseURL: "http://localhost:8000/v1", Local: true, NoKey: true},
	{ID: "xai", Name: "xAI", Kind: OpenAI, BaseURL: "https://api.x.ai/v1"},
	{ID: "zai", Name: "Z.ai (GLM)", Kind: OpenAI, BaseURL: "https://api.z.ai/api/paas/v4"},
}

// Fill sets what the change leaves out to what the preset says.
func (c *Change) Fill(preset string) error {
	at := slices.IndexFunc(presets[:], func(p Preset) bool { return p.ID == preset })
	if at < 0 {
		return invalid("preset", "invalid_preset", "There is no preset %q; GET /api/channel/presets lists those there are.", clip(preset))
	}
	p := &presets[at]
	if c.Name == nil {
		c.Name = new(p.Name)
	}
	if c.Kind == nil {
		c.Kind = new(p.Kind)
	}
	if c.BaseURL == nil && p.BaseURL != "" {
		c.BaseURL = new(p.BaseURL)
	}
	if c.Models == nil && len(p.Models) > 0 {
		c.Models = new(slices.Clone(p.Models))
	}
	return nil
}
