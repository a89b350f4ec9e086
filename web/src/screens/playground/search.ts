/** The four text dialects that the server speaks. */
export const dialects = ["chat", "responses", "messages", "gemini"] as const;
export type Dialect = (typeof dialects)[number];

/** What the playground's address says. What is typed stands nowhere but on the page. */
export interface PlaygroundSearch {
  model?: string;
  dialect?: Dialect;
  key?: number;
}

export function playgroundSearch(search: Record<string, unknown>): PlaygroundSearch {
  const model = typeof search.model === "string" || typeof search.model === "number" ? String(search.model) : "";
  const dialect = dialects.find((one) => one === search.dialect);
  const key = Number(search.key);
  return {
    ...(model && { model }),
    ...(dialect && dialect !== "chat" && { dialect }),
    ...(Number.isSafeInteger(key) && key > 0 && { key }),
  };
}
