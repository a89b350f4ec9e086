import type { Schemas } from "@/api/client";
import { type Endpoint, type modelRates, rates } from "./draft";

type Rate = (typeof rates)[number];

/** What a key lets its children have at most. What is undefined, it leaves open. */
export interface Bounds {
  name: string;
  /** Quota units that it has left. */
  left: number | undefined;
  /** When it ends, in Unix seconds. */
  ends: number | undefined;
  models: string[] | undefined;
  addresses: string[] | undefined;
  endpoints: Endpoint[] | undefined;
  rates: Partial<Record<Rate, number>>;
  /** Its limits for some models: they hold for all that its children do together. */
  modelRates: { model: string; rates: Partial<Record<(typeof modelRates)[number], number>> }[];
  /** Whether it has renewing budgets, which its children's spending counts for. */
  budgets: boolean;
}

export function boundsOf(parent: Schemas["Key"]): Bounds {
  const { limits } = parent;
  const set = (of: Partial<Record<Rate, number | null>>) =>
    Object.fromEntries(rates.flatMap((rate) => (typeof of[rate] === "number" ? [[rate, of[rate]]] : [])));
  return {
    name: parent.name,
    left: parent.unlimited_quota ? undefined : parent.remain_quota,
    ends: parent.expired_time < 0 ? undefined : parent.expired_time,
    models: parent.model_limits_enabled ? parent.model_limits.split(",").filter(Boolean) : undefined,
    addresses: parent.allow_ips ? parent.allow_ips.split("\n") : undefined,
    endpoints: (limits.endpoints as Endpoint[] | null) ?? undefined,
    rates: set(limits),
    modelRates: Object.entries(limits.per_model ?? {}).map(([model, of]) => ({ model, rates: set(of) })),
    budgets: (limits.budgets ?? []).length > 0,
  };
}

/** Whether a pattern such as gpt-5* has a name. */
export function fits(pattern: string, name: string): boolean {
  const expression = pattern
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${expression}$`).test(name);
}

/** What to offer as a child's models: the parent's patterns, and the models that they have. */
export function modelsWithin(bounds: Bounds | undefined, offered: readonly string[]): string[] {
  if (!bounds?.models) return [...offered];
  const patterns = bounds.models;
  return [...new Set([...patterns, ...offered.filter((model) => patterns.some((pattern) => fits(pattern, model)))])];
}
