package price

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Book is an immutable set of prices, one per model.
type Book struct {
	byModel map[string]*Price
	sorted  []*Price
}

// Stored is one version of a custom price as the store keeps it.
type Stored struct {
	Version    int64 // unique among all models, rising
	Model      string
	Definition []byte // JSON; empty marks the version that ended the custom price
	Created    time.Time
}

// NewBook lays the custom prices over the catalog's.
func NewBook(catalog *Catalog, custom []Stored) (*Book, error) {
	b := &Book{byModel: maps.Clone(catalog.prices)}
	for _, s := range custom {
		p, err := catalog.custom(s)
		if err != nil {
			return nil, fmt.Errorf("read version %d of the price of %s: %w", s.Version, s.Model, err)
		}
		b.byModel[s.Model] = p
	}
	for _, model := range slices.Sorted(maps.Keys(b.byModel)) {
		b.sorted = append(b.sorted, b.byModel[model])
	}
	return b, nil
}

// Lookup is the price of the model with exactly that name. A model without a
// price is not free: free is a price of 0.
func (b *Book) Lookup(model string) (*Price, bool) {
	p, ok := b.byModel[model]
	return p, ok
}

// All are the prices by model name; the slice is shared.
func (b *Book) All() []*Price { return b.sorted }

// PublicModel is one entry of the public model list, GET /api/models.
type PublicModel struct {
	ID           int64         `json:"id"` // follows from the name: the same for ever and everywhere
	Code         string        `json:"code"`
	Provider     string        `json:"provider"`
	ProviderCode string        `json:"provider_code"`
	Name         string        `json:"name"`
	ModelType    string        `json:"model_type"`
	Features     []string      `json:"features"`
	Pricing      PublicPricing `json:"pricing"`
	APIDocURL    string        `json:"api_doc_url"`
	Created      int64         `json:"created"` // Unix seconds
}

// PublicPricing is what the public list says of a price; what the model has no
// such price for is null.
type PublicPricing struct {
	Currency   string  `json:"currency"`
	Input      Decimal `json:"input"`
	Output     Decimal `json:"output"`
	PerRequest Decimal `json:"per_request"`
	PerSecond  Decimal `json:"per_second"` // no price is by the second yet
}

// PublicModels are the book's models, by name, as anybody may see them.
func (b *Book) PublicModels() []PublicModel {
	models := make([]PublicModel, 0, len(b.sorted))
	for _, p := range b.sorted {
		models = append(models, p.public())
	}
	return models
}

func (p *Price) public() PublicModel {
	provider, docs := vendor(p.Vendor)
	return PublicModel{
		ID:           publicID(p.Model),
		Code:         p.Model,
		Provider:     provider,
		ProviderCode: p.Vendor,
		Name:         p.Model,
		ModelType:    p.Mode,
		Features:     append([]string{}, p.Features...),
		Pricing: PublicPricing{
			Currency:   "USD / M Tokens",
			Input:      p.definition.Rates.decimal(Input),
			Output:     p.definition.Rates.decimal(Output),
			PerRequest: usd(p.definition.PerRequest),
		},
		APIDocURL: docs,
		Created:   seconds(p.Created),
	}
}

// publicID is a number that every JSON reader keeps exactly: 53 bits of a hash.
func publicID(model string) int64 {
	h := fnv.New64a()
	h.Write([]byte(model)) // never fails
	return int64(h.Sum64() >> 11)
}

// vendor is how a vendor writes its name, and where it describes its models.
func vendor(code string) (name, docs string) {
	switch code {
	case "openai":
		return "OpenAI", "https://platform.openai.com/docs/models"
	case "anthropic":
		return "Anthropic", "https://docs.anthropic.com/en/docs/about-claude/models"
	case "google":
		return "Google", "https://ai.google.dev/gemini-api/docs/models"
	case "deepseek":
		return "DeepSeek", "https://api-docs.deepseek.com"
	case "xai":
		return "xAI", "https://docs.x.ai/docs/models"
	case "moonshot":
		return "Moonshot AI", "https://platform.moonshot.ai/docs"
	case "minimax":
		return "MiniMax", "https://platform.minimax.io/docs"
	case "zhipu":
		return "Zhipu AI", "https://docs.z.ai"
	case "mistral":
		return "Mistral AI", "https://docs.mistral.ai/models/overview"
	case "cohere":
		return "Cohere", "https://docs.cohere.com/docs/models"
	case "voyage":
		return "Voyage AI", "https://docs.voyageai.com/docs/embeddings"
	case "demo":
		return "Demo", ""
	case "custom":
		return "Custom", ""
	}
	return code, ""
}

const customPrefix = "custom-"

func customVersion(n int64) string { return customPrefix + strconv.FormatInt(n, 10) }

// parseCustomVersion reads what customVersion writes.
func parseCustomVersion(version string) (int64, bool) {
	digits, ok := strings.CutPrefix(version, customPrefix)
	if !ok || !isDigits(digits) {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}
