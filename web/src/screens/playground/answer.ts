import type { Call } from "./dialects";
import type { Dialect } from "./search";

/** What has come of an answer. */
export interface Answer {
  text: string;
  thought: string;
  calls: Call[];
  inputTokens?: number;
  outputTokens?: number;
  /** What an upstream said went wrong in the middle. */
  error?: string;
}

export const noAnswer: Answer = { text: "", thought: "", calls: [] };

// biome-ignore lint/suspicious/noExplicitAny: the wire is what it is; every access is guarded
type Json = any;

const count = (value: unknown) => (typeof value === "number" ? value : undefined);

/** The answer with one more event of a stream, or with a whole body, which reads alike. */
export function withEvent(dialect: Dialect, before: Answer, event: Json): Answer {
  const answer: Answer = { ...before, calls: before.calls.map((call) => ({ ...call })) };
  const error = event?.error ?? event?.response?.error;
  if (error) answer.error = typeof error === "string" ? error : String(error.message ?? JSON.stringify(error));
  switch (dialect) {
    case "chat":
      addChat(answer, event);
      break;
    case "responses":
      addResponses(answer, event);
      break;
    case "messages":
      addMessages(answer, event);
      break;
    case "gemini":
      addGemini(answer, event);
      break;
  }
  return answer;
}

function tokens(answer: Answer, input: unknown, output: unknown) {
  const [into, out] = [count(input), count(output)];
  if (into !== undefined) answer.inputTokens = into;
  if (out !== undefined) answer.outputTokens = out;
}

function addChat(answer: Answer, event: Json) {
  const choice = event?.choices?.[0];
  const delta = choice?.delta ?? choice?.message ?? {};
  answer.text += delta.content ?? "";
  answer.thought += delta.reasoning_content ?? "";
  for (const [i, part] of (delta.tool_calls ?? []).entries()) {
    const index = part.index ?? i;
    const call = answer.calls[index] ?? { id: "", name: "", arguments: "" };
    answer.calls[index] = {
      id: call.id || (part.id ?? ""),
      name: call.name || (part.function?.name ?? ""),
      arguments: call.arguments + (part.function?.arguments ?? ""),
    };
  }
  tokens(answer, event?.usage?.prompt_tokens, event?.usage?.completion_tokens);
}

function addResponses(answer: Answer, event: Json) {
  if (event?.type === "response.output_text.delta") answer.text += event.delta ?? "";
  if (event?.type === "response.reasoning_summary_text.delta") answer.thought += event.delta ?? "";
  if (event?.type === "response.output_item.done") addItem(answer, event.item);
  if (event?.type === "error") answer.error = event.message ?? event.error?.message ?? "error";
  if (event?.object === "response") {
    for (const item of event.output ?? []) {
      addItem(answer, item);
      if (item.type === "message") for (const part of item.content ?? []) answer.text += part.text ?? "";
    }
  }
  const usage = event?.response?.usage ?? event?.usage;
  tokens(answer, usage?.input_tokens, usage?.output_tokens);
}

function addItem(answer: Answer, item: Json) {
  if (item?.type === "function_call") {
    answer.calls.push({ id: item.call_id, name: item.name, arguments: item.arguments ?? "" });
  }
}

function addMessages(answer: Answer, event: Json) {
  const use = (block: Json) => ({
    id: block.id ?? "",
    name: block.name ?? "",
    arguments: Object.keys(block.input ?? {}).length > 0 ? JSON.stringify(block.input) : "",
  });
  if (event?.type === "content_block_start" && event.content_block?.type === "tool_use") {
    answer.calls.push(use(event.content_block));
  }
  if (event?.type === "content_block_delta") {
    answer.text += event.delta?.text ?? "";
    answer.thought += event.delta?.thinking ?? "";
    const last = answer.calls.at(-1);
    if (last) last.arguments += event.delta?.partial_json ?? "";
  }
  if (event?.type === "message") {
    for (const block of event.content ?? []) {
      answer.text += block.text ?? "";
      answer.thought += block.thinking ?? "";
      if (block.type === "tool_use") answer.calls.push(use(block));
    }
  }
  const usage = event?.usage ?? event?.message?.usage;
  tokens(answer, usage?.input_tokens, usage?.output_tokens);
}

function addGemini(answer: Answer, event: Json) {
  for (const part of event?.candidates?.[0]?.content?.parts ?? []) {
    if (part.thought) answer.thought += part.text ?? "";
    else answer.text += part.text ?? "";
    if (part.functionCall) {
      const { id, name, args } = part.functionCall;
      answer.calls.push({ id: id ?? `call_${answer.calls.length}`, name, arguments: JSON.stringify(args ?? {}) });
    }
  }
  tokens(answer, event?.usageMetadata?.promptTokenCount, event?.usageMetadata?.candidatesTokenCount);
}

/** Splits server-sent events as they arrive, in pieces of any size, into their data. */
export class EventSplitter {
  private rest = "";

  add(text: string): string[] {
    // A CR at the end may be half of a CRLF.
    const all = this.rest + text;
    const held = all.endsWith("\r") ? 1 : 0;
    const lines = all.slice(0, all.length - held).split(/\r\n|\r|\n/);
    const events: string[] = [];
    let data: string[] = [];
    let from = 0;
    for (let i = 0; i < lines.length - 1; i++) {
      const line = lines[i] ?? "";
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      if (line === "") {
        if (data.length > 0) events.push(data.join("\n"));
        data = [];
        from = i + 1;
      }
    }
    this.rest = lines.slice(from).join("\n") + all.slice(all.length - held);
    return events;
  }
}
