import { parsePeriod, periodText } from "@/format/period";

/** What the address of the requests says. What is left out narrows nothing. */
export interface UsageSearch {
  /** A period as format/period writes it; the last 7 days when left out. */
  period?: string;
  key?: number;
  model?: string;
  /** An HTTP status. */
  status?: number;
  /** Only requests that failed. */
  errors?: true;
  request?: string;
  /** Everybody's requests, for administrators, or those of one user. */
  who?: "all";
  user?: number;
  page?: number;
  size?: number;
}

export function usageSearch(search: Record<string, unknown>): UsageSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const whole = (value: unknown) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : 0);
  const period = periodText(parsePeriod(search.period));
  const key = whole(search.key);
  const model = text(search.model);
  const status = whole(search.status);
  const request = text(search.request).trim();
  const user = whole(search.user);
  const page = whole(search.page);
  const size = whole(search.size);
  return {
    ...(period !== "7d" && { period }),
    ...(key > 0 && { key }),
    ...(model && { model }),
    ...(status >= 100 && status <= 599 && { status }),
    ...(search.errors === true && { errors: true as const }),
    ...(request && { request }),
    ...(search.who === "all" && { who: "all" as const }),
    ...(search.who === "all" && user > 0 && { user }),
    ...(page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}

/** Whether anything but the period narrows the list. */
export function isNarrowed({ key, model, status, errors, request, user }: UsageSearch): boolean {
  return [key, model, status, errors, request, user].some((one) => one !== undefined);
}
