import type { Dialect } from "./search";

export interface Image {
  /** image/png */
  type: string;
  base64: string;
}

export interface Call {
  id: string;
  name: string;
  /** JSON. */
  arguments: string;
}

/** One turn of a conversation, in no dialect. */
export type Turn =
  | { role: "user"; text: string; images: readonly Image[] }
  | { role: "assistant"; text: string; calls: readonly Call[] }
  | { role: "tool"; call: Call; result: string };

export interface Tool {
  name: string;
  description?: string;
  parameters?: object;
}

export interface Ask {
  model: string;
  system: string;
  turns: readonly Turn[];
  tools: readonly Tool[];
  stream: boolean;
  maxTokens: number | undefined;
  temperature: number | undefined;
  topP: number | undefined;
}

export interface HttpRequest {
  path: string;
  headers: Record<string, string>;
  body: object;
}

/** The request that asks in a dialect. */
export function requestOf(dialect: Dialect, ask: Ask, key: string): HttpRequest {
  const json = { "Content-Type": "application/json" };
  const bearer = { Authorization: `Bearer ${key}`, ...json };
  switch (dialect) {
    case "chat":
      return { path: "/v1/chat/completions", headers: bearer, body: chat(ask) };
    case "responses":
      return { path: "/v1/responses", headers: bearer, body: responses(ask) };
    case "messages":
      return {
        path: "/v1/messages",
        headers: { "x-api-key": key, "anthropic-version": "2023-06-01", ...json },
        body: messages(ask),
      };
    case "gemini": {
      const method = ask.stream ? "streamGenerateContent?alt=sse" : "generateContent";
      return {
        path: `/v1beta/models/${encodeURIComponent(ask.model)}:${method}`,
        headers: { "x-goog-api-key": key, ...json },
        body: gemini(ask),
      };
    }
  }
}

const dataUrl = (image: Image) => `data:${image.type};base64,${image.base64}`;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text || "{}");
  } catch {
    return {};
  }
}

/** Members that are set. */
function set(members: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function chat(ask: Ask): object {
  const turns = ask.turns.map(chatTurn);
  return set({
    model: ask.model,
    messages: [...(ask.system ? [{ role: "system", content: ask.system }] : []), ...turns],
    tools: ask.tools.length > 0 ? ask.tools.map((tool) => ({ type: "function", function: tool })) : undefined,
    max_completion_tokens: ask.maxTokens,
    temperature: ask.temperature,
    top_p: ask.topP,
    stream: ask.stream || undefined,
    stream_options: ask.stream ? { include_usage: true } : undefined,
  });
}

function chatTurn(turn: Turn): object {
  switch (turn.role) {
    case "user":
      return {
        role: "user",
        content:
          turn.images.length === 0
            ? turn.text
            : [
                { type: "text", text: turn.text },
                ...turn.images.map((image) => ({ type: "image_url", image_url: { url: dataUrl(image) } })),
              ],
      };
    case "assistant":
      return set({
        role: "assistant",
        content: turn.text || (turn.calls.length > 0 ? null : ""),
        tool_calls:
          turn.calls.length === 0
            ? undefined
            : turn.calls.map((call) => ({
                id: call.id,
                type: "function",
                function: { name: call.name, arguments: call.arguments },
              })),
      });
    case "tool":
      return { role: "tool", tool_call_id: turn.call.id, content: turn.result };
  }
}

function responses(ask: Ask): object {
  const input = ask.turns.flatMap(responsesItems);
  return set({
    model: ask.model,
    instructions: ask.system || undefined,
    input,
    tools: ask.tools.length > 0 ? ask.tools.map((tool) => ({ type: "function", strict: false, ...tool })) : undefined,
    max_output_tokens: ask.maxTokens,
    temperature: ask.temperature,
    top_p: ask.topP,
    stream: ask.stream || undefined,
    store: false,
  });
}

function responsesItems(turn: Turn): object[] {
  switch (turn.role) {
    case "user":
      return [
        {
          role: "user",
          content: [
            { type: "input_text", text: turn.text },
            ...turn.images.map((image) => ({ type: "input_image", detail: "auto", image_url: dataUrl(image) })),
          ],
        },
      ];
    case "assistant":
      return [
        ...(turn.text ? [{ role: "assistant", content: [{ type: "output_text", text: turn.text }] }] : []),
        ...turn.calls.map((call) => ({
          type: "function_call",
          call_id: call.id,
          name: call.name,
          arguments: call.arguments,
        })),
      ];
    case "tool":
      return [{ type: "function_call_output", call_id: turn.call.id, output: turn.result }];
  }
}

/** Turns of one role that follow each other, as one: Anthropic and Google want them so. */
function joined<Part>(turns: readonly { role: string; parts: Part[] }[]): { role: string; parts: Part[] }[] {
  const all: { role: string; parts: Part[] }[] = [];
  for (const turn of turns) {
    const last = all.at(-1);
    if (last?.role === turn.role) last.parts.push(...turn.parts);
    else all.push({ role: turn.role, parts: [...turn.parts] });
  }
  return all;
}

function messages(ask: Ask): object {
  const turns = ask.turns.map(messagesTurn);
  return set({
    model: ask.model,
    max_tokens: ask.maxTokens ?? 1024, // Anthropic wants one
    system: ask.system || undefined,
    messages: joined(turns).map(({ role, parts }) => ({ role, content: parts })),
    tools:
      ask.tools.length > 0
        ? ask.tools.map(({ parameters, ...tool }) => ({
            ...tool,
            input_schema: parameters ?? { type: "object", properties: {} },
          }))
        : undefined,
    temperature: ask.temperature,
    top_p: ask.topP,
    stream: ask.stream || undefined,
  });
}

function messagesTurn(turn: Turn): { role: string; parts: object[] } {
  switch (turn.role) {
    case "user":
      return {
        role: "user",
        parts: [
          ...turn.images.map((image) => ({
            type: "image",
            source: { type: "base64", media_type: image.type, data: image.base64 },
          })),
          { type: "text", text: turn.text },
        ],
      };
    case "assistant":
      return {
        role: "assistant",
        parts: [
          ...(turn.text ? [{ type: "text", text: turn.text }] : []),
          ...turn.calls.map((call) => ({
            type: "tool_use",
            id: call.id,
            name: call.name,
            input: parsed(call.arguments),
          })),
        ],
      };
    case "tool":
      return {
        role: "user",
        parts: [{ type: "tool_result", tool_use_id: turn.call.id, content: turn.result }],
      };
  }
}

function gemini(ask: Ask): object {
  const turns = ask.turns.map(geminiTurn);
  const config = set({ maxOutputTokens: ask.maxTokens, temperature: ask.temperature, topP: ask.topP });
  return set({
    contents: joined(turns),
    systemInstruction: ask.system ? { parts: [{ text: ask.system }] } : undefined,
    tools: ask.tools.length > 0 ? [{ functionDeclarations: ask.tools }] : undefined,
    generationConfig: Object.keys(config).length > 0 ? config : undefined,
  });
}

function geminiTurn(turn: Turn): { role: string; parts: object[] } {
  switch (turn.role) {
    case "user":
      return {
        role: "user",
        parts: [
          { text: turn.text },
          ...turn.images.map((image) => ({ inlineData: { mimeType: image.type, data: image.base64 } })),
        ],
      };
    case "assistant":
      return {
        role: "model",
        parts: [
          ...(turn.text ? [{ text: turn.text }] : []),
          ...turn.calls.map((call) => ({
            functionCall: { id: call.id, name: call.name, args: parsed(call.arguments) },
          })),
        ],
      };
    case "tool":
      return {
        role: "user",
        parts: [{ functionResponse: { id: turn.call.id, name: turn.call.name, response: { result: turn.result } } }],
      };
  }
}
