/** What the address of the prices says. What is left out has its default. */
export interface PricesSearch {
  tab?: "history" | "rerate";
  q?: string;
  source?: "catalog" | "custom";
  page?: number;
  size?: number;
  /** The model whose price is open. */
  model?: string;
  period?: string;
}

export function pricesSearch(search: Record<string, unknown>): PricesSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const whole = (value: unknown) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : 0);
  const page = whole(search.page);
  const size = whole(search.size);
  return {
    ...((search.tab === "history" || search.tab === "rerate") && { tab: search.tab }),
    ...(text(search.q) && { q: text(search.q) }),
    ...((search.source === "catalog" || search.source === "custom") && { source: search.source }),
    ...(page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
    ...(text(search.model) && { model: text(search.model) }),
    ...(text(search.period) && { period: text(search.period) }),
  };
}
