import { parsePeriod, periodText } from "@/format/period";

/** What the address of the audit log says. What is left out has its default. */
export interface AuditSearch {
  actor?: number;
  action?: string;
  target?: string;
  /** A kind of target, such as key. */
  kind?: string;
  request?: string;
  period?: string;
  page?: number;
  size?: number;
}

export function auditSearch(search: Record<string, unknown>): AuditSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const actor = Number(search.actor);
  const page = Number(search.page);
  const size = Number(search.size);
  const period = periodText(parsePeriod(search.period, "30d"));
  return {
    ...(text(search.actor) !== "" && Number.isSafeInteger(actor) && actor >= 0 && { actor }),
    ...(text(search.action) && { action: text(search.action) }),
    ...(text(search.target) && { target: text(search.target) }),
    ...(text(search.kind) && { kind: text(search.kind) }),
    ...(text(search.request).trim() && { request: text(search.request).trim() }),
    ...(period !== "30d" && { period }),
    ...(Number.isSafeInteger(page) && page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}
