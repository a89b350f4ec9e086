import { api } from "@/api/client";
import { refusal } from "@/api/error";
import type { filterOf } from "./queries";

export type FileFormat = "csv" | "json";

/** How far an export is. */
export interface Progress {
  records: number;
  /** How many there will be, as far as the server knows. */
  total: number;
  bytes: number;
}

/** A file, whole. */
export interface Exported {
  name: string;
  content: Blob;
}

/** What openapi-fetch gives for a file that is read as it comes. */
interface Answer {
  data?: unknown;
  error?: unknown;
  response: Response;
}

/** Fetches every usage record that the filter leaves. */
export function exportUsage(
  all: boolean,
  filter: ReturnType<typeof filterOf>,
  format: FileFormat,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<Exported> {
  const options = { signal, params: { query: { ...filter, format } }, parseAs: "stream" as const };
  const answer = all ? api.GET("/api/log/export", options) : api.GET("/api/log/self/export", options);
  return download(answer, `halley-usage.${format}`, onProgress);
}

/** Takes in a file of records, one a line; what was refused is an ApiError, what breaks off is thrown. */
export async function download(
  call: Promise<Answer>,
  otherwise: string,
  onProgress: (progress: Progress) => void,
): Promise<Exported> {
  const answer = await call;
  if (!answer.response.ok || !answer.data) throw refusal(answer.response, answer.error);
  const total = Number(answer.response.headers.get("X-Total-Count") ?? 0);
  const name = /filename="([^"]+)"/.exec(answer.response.headers.get("Content-Disposition") ?? "")?.[1];
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  let lines = 0;
  const reader = (answer.data as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
    for (const byte of value) if (byte === 10) lines++;
    onProgress({ records: Math.min(total, Math.max(0, lines - 1)), total, bytes });
  }
  const type = answer.response.headers.get("Content-Type") ?? "";
  return { name: name ?? otherwise, content: new Blob(parts, { type }) };
}

/** Hands a file to the viewer. */
export function save({ name, content }: Exported): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
