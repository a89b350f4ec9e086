/** What the catalog's address says. */
export interface ModelsSearch {
  q?: string;
  group?: string;
  sort?: string;
}

export function modelsSearch(search: Record<string, unknown>): ModelsSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const q = text(search.q);
  const group = text(search.group);
  const sort = text(search.sort);
  return { ...(q && { q }), ...(group && { group }), ...(sort && { sort }) };
}
