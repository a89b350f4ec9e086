/** Ready-made ways to use a key, for one server. */
export const clients = ["curl", "Python", "Node", "Go", "Claude Code", "Codex", "Cursor"] as const;
export type Client = (typeof clients)[number];

export interface Place {
  /** This server: https://halley.example. */
  origin: string;
  key: string;
  model: string;
}

export function snippet(client: Client, { origin, key, model }: Place): string {
  switch (client) {
    case "curl":
      return `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`;
    case "Python":
      return `# pip install openai
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key="${key}")
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`;
    case "Node":
      return `// npm install openai
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: "${key}" });
const answer = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.choices[0].message.content);`;
    case "Go":
      return `// go get github.com/openai/openai-go/v3
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func main() {
	client := openai.NewClient(option.WithBaseURL("${origin}/v1"), option.WithAPIKey("${key}"))
	answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    "${model}",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)
}`;
    case "Claude Code":
      return `export ANTHROPIC_BASE_URL=${origin}
export ANTHROPIC_API_KEY=${key}
export ANTHROPIC_SMALL_FAST_MODEL=${model}
claude --model ${model}`;
    case "Codex":
      return `# ~/.codex/config.toml
model = "${model}"
model_provider = "halley"

[model_providers.halley]
name = "Halley"
base_url = "${origin}/v1"
env_key = "HALLEY_API_KEY"
wire_api = "responses"

# then, in the shell
export HALLEY_API_KEY=${key}
codex`;
    case "Cursor":
      return `# Cursor Settings > Models > API Keys
OpenAI API Key             ${key}
Override OpenAI Base URL   ${origin}/v1
Add model                  ${model}`;
  }
}
