import { describe, expect, it } from "vitest";
import { type Answer, EventSplitter, noAnswer, withEvent } from "./answer";
import { codeFor, languages } from "./code";
import { type Ask, requestOf } from "./dialects";
import { type Dialect, dialects } from "./search";

const call = { id: "c1", name: "weather", arguments: '{"city":"Oslo"}' };
const ask: Ask = {
  model: "some/model",
  system: "Be brief.",
  turns: [
    { role: "user", text: "What is this?", images: [{ type: "image/png", base64: "AAAA" }] },
    { role: "assistant", text: "", calls: [call] },
    { role: "tool", call, result: "rain" },
    { role: "user", text: "And now?", images: [] },
  ],
  tools: [{ name: "weather", description: "d", parameters: { type: "object", properties: {} } }],
  stream: true,
  maxTokens: 50,
  temperature: 0.5,
  topP: undefined,
};

// biome-ignore lint/suspicious/noExplicitAny: bodies of four shapes
const body = (dialect: Dialect) => requestOf(dialect, ask, "sk-1").body as any;

describe("requests", () => {
  it("of the Chat dialect", () => {
    const { messages, tools, stream_options } = body("chat");
    expect(messages.map((one: { role: string }) => one.role)).toEqual(["system", "user", "assistant", "tool", "user"]);
    expect(messages[1].content[1].image_url.url).toBe("data:image/png;base64,AAAA");
    expect(messages[2]).toMatchObject({ content: null, tool_calls: [{ id: "c1", function: { name: "weather" } }] });
    expect(messages[3]).toEqual({ role: "tool", tool_call_id: "c1", content: "rain" });
    expect(tools[0].function.name).toBe("weather");
    expect(stream_options).toEqual({ include_usage: true });
    expect(body("chat")).not.toHaveProperty("top_p");
  });
  it("of the Responses dialect", () => {
    expect(body("responses").input.map((one: { role?: string; type?: string }) => one.role ?? one.type)).toEqual([
      "user",
      "function_call",
      "function_call_output",
      "user",
    ]);
    expect(body("responses")).toMatchObject({ instructions: "Be brief.", store: false, max_output_tokens: 50 });
  });
  it("of the Messages dialect alternate", () => {
    const { messages, max_tokens } = body("messages");
    expect(messages.map((one: { role: string }) => one.role)).toEqual(["user", "assistant", "user"]);
    expect(messages[1].content[0]).toEqual({ type: "tool_use", id: "c1", name: "weather", input: { city: "Oslo" } });
    expect(messages[2].content[0]).toMatchObject({ type: "tool_result", tool_use_id: "c1" });
    expect(max_tokens).toBe(50);
    expect(requestOf("messages", ask, "sk-1").headers["x-api-key"]).toBe("sk-1");
  });
  it("of the Gemini dialect have the model in the path", () => {
    expect(requestOf("gemini", ask, "sk-1").path).toBe("/v1beta/models/some%2Fmodel:streamGenerateContent?alt=sse");
    expect(body("gemini").contents.map((one: { role: string }) => one.role)).toEqual(["user", "model", "user"]);
    expect(body("gemini").generationConfig).toEqual({ maxOutputTokens: 50, temperature: 0.5 });
  });
});

const read = (dialect: Dialect, ...events: object[]): Answer =>
  events.reduce<Answer>((answer, event) => withEvent(dialect, answer, event), noAnswer);

describe("answers", () => {
  it("of the Chat dialect, streamed and whole", () => {
    const part = (delta: object) => ({ choices: [{ delta }] });
    expect(
      read(
        "chat",
        part({ content: "Hel" }),
        part({ content: "lo" }),
        part({ tool_calls: [{ index: 0, id: "c1", function: { name: "f", arguments: '{"a"' } }] }),
        part({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }),
        { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
      ),
    ).toEqual({
      text: "Hello",
      thought: "",
      calls: [{ id: "c1", name: "f", arguments: '{"a":1}' }],
      inputTokens: 3,
      outputTokens: 2,
    });
    expect(read("chat", { choices: [{ message: { content: "Hi" } }] }).text).toBe("Hi");
  });
  it("of the Responses dialect", () => {
    const item = { type: "function_call", call_id: "c1", name: "f", arguments: "{}" };
    const streamed = read(
      "responses",
      { type: "response.output_text.delta", delta: "Hi" },
      { type: "response.output_item.done", item },
      { type: "response.completed", response: { object: "response", usage: { input_tokens: 1, output_tokens: 2 } } },
    );
    expect(streamed).toMatchObject({ text: "Hi", calls: [{ id: "c1" }], inputTokens: 1, outputTokens: 2 });
    const whole = { object: "response", output: [{ type: "message", content: [{ text: "Hi" }] }, item] };
    expect(read("responses", whole)).toMatchObject({ text: "Hi", calls: [{ id: "c1" }] });
  });
  it("of the Messages dialect", () => {
    expect(
      read(
        "messages",
        { type: "message_start", message: { usage: { input_tokens: 9, output_tokens: 1 } } },
        { type: "content_block_delta", delta: { thinking: "hm" } },
        { type: "content_block_delta", delta: { text: "Hi" } },
        { type: "content_block_start", content_block: { type: "tool_use", id: "t", name: "f", input: {} } },
        { type: "content_block_delta", delta: { partial_json: '{"a":1}' } },
        { type: "message_delta", usage: { output_tokens: 7 } },
      ),
    ).toEqual({
      text: "Hi",
      thought: "hm",
      calls: [{ id: "t", name: "f", arguments: '{"a":1}' }],
      inputTokens: 9,
      outputTokens: 7,
    });
  });
  it("of the Gemini dialect", () => {
    const parts = [{ text: "hm", thought: true }, { text: "Hi" }, { functionCall: { name: "f", args: { a: 1 } } }];
    expect(read("gemini", { candidates: [{ content: { parts } }] })).toMatchObject({
      text: "Hi",
      thought: "hm",
      calls: [{ name: "f", arguments: '{"a":1}' }],
    });
  });
  it.each(dialects)("tell an error in the middle: %s", (dialect) => {
    expect(read(dialect, { type: "error", error: { message: "overloaded" } }).error).toBe("overloaded");
  });
});

describe("events", () => {
  it("are split wherever the pieces end", () => {
    const stream = 'event: a\r\ndata: {"x":1}\r\n\r\n: ping\n\ndata: one\ndata: two\n\ndata:last\n\ndata: cut';
    for (let size = 1; size < stream.length; size++) {
      const splitter = new EventSplitter();
      const found: string[] = [];
      for (let at = 0; at < stream.length; at += size) found.push(...splitter.add(stream.slice(at, at + size)));
      expect(found, `in pieces of ${size}`).toEqual(['{"x":1}', "one\ntwo", "last"]);
    }
  });
});

describe("code", () => {
  it.each(languages)("does not show the key: %s", (language) => {
    const request = requestOf("chat", { ...ask, system: 'It\'s `odd` \\ "text"' }, "sk-secret");
    const code = codeFor(language, "https://halley.example", request, "sk-secret");
    expect(code).not.toContain("sk-secret");
    expect(code).toContain("HALLEY_API_KEY");
    expect(code).toContain("https://halley.example/v1/chat/completions");
  });
});
