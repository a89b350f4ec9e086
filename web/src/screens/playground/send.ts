import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import { ApiError } from "@/api/error";
import { type Answer, EventSplitter, noAnswer, withEvent } from "./answer";
import type { HttpRequest } from "./dialects";
import type { Dialect } from "./search";

/** How an answer came. */
export interface Reply {
  answer: Answer;
  requestId: string | undefined;
  /** Milliseconds as the browser saw them; the first is undefined until something comes. */
  first: number | undefined;
  total: number;
}

/** Asks with an API key, not with the session, and tells what has come so far. */
export async function send(
  dialect: Dialect,
  request: HttpRequest,
  signal: AbortSignal,
  onReply: (reply: Reply) => void,
): Promise<void> {
  const start = performance.now();
  const response = await fetch(request.path, {
    method: "POST",
    headers: request.headers,
    body: JSON.stringify(request.body),
    credentials: "omit",
    signal,
  }).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    throw new ApiError(0, "offline", "The server cannot be reached.", undefined, undefined);
  });
  const requestId = response.headers.get("X-Request-Id") ?? undefined;
  if (!response.ok) throw await refused(response, requestId);
  let answer = noAnswer;
  let first: number | undefined;
  const tell = () => onReply({ answer, requestId, first, total: performance.now() - start });
  tell();
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    answer = withEvent(dialect, answer, await response.json());
    first = performance.now() - start;
    tell();
    return;
  }
  const splitter = new EventSplitter();
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    first ??= performance.now() - start;
    for (const event of splitter.add(decoder.decode(value, { stream: true }))) {
      if (event === "[DONE]") continue;
      try {
        answer = withEvent(dialect, answer, JSON.parse(event));
      } catch (problem) {
        if (!(problem instanceof SyntaxError)) throw problem; // what is no JSON says nothing to us
      }
    }
    tell();
  }
  tell();
}

/** What the server refused with, in any of the dialects' shapes. */
async function refused(response: Response, requestId: string | undefined): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => undefined);
  const error = (body as { error?: { message?: string; code?: string; type?: string } } | undefined)?.error;
  const code = String(error?.code ?? error?.type ?? "");
  return new ApiError(response.status, code, error?.message || `HTTP ${response.status}`, undefined, requestId);
}

/** What was recorded of a request; asked again until it is there, which takes a moment. */
export function recordQuery(requestId: string | undefined, ended: boolean) {
  return queryOptions({
    queryKey: ["usage", "record", requestId],
    queryFn: async ({ signal }) => {
      const query = { request_id: requestId, page_size: 1 };
      return (await data(api.GET("/api/log/self", { signal, params: { query } }))).items[0] ?? null;
    },
    enabled: requestId !== undefined && ended,
    placeholderData: undefined,
    refetchInterval: (state) => (state.state.data || state.state.dataUpdateCount > 10 ? false : 300),
  });
}
