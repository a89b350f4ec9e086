import type { Schemas } from "@/api/client";
import { type Period, parsePeriod, periodText } from "@/format/period";

export const kinds = ["openai", "azure", "anthropic", "gemini", "vertex", "bedrock", "cohere", "demo"] as const;
export type Kind = Schemas["Channel"]["kind"];

export const conditions = ["well", "impaired", "broken", "disabled", "unused"] as const;
export type Condition = (typeof conditions)[number];

export const views = ["list", "order"] as const;
export type View = (typeof views)[number];

/** What the address of the channels says. What is left out has its default. */
export interface ChannelsSearch {
  q?: string;
  kind?: Kind;
  group?: string;
  tag?: string;
  condition?: Condition;
  sort?: string;
  period?: string;
  view?: "order";
  page?: number;
  size?: number;
}

export function channelsSearch(search: Record<string, unknown>): ChannelsSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const whole = (value: unknown) => (Number.isSafeInteger(Number(value)) && Number(value) > 0 ? Number(value) : 0);
  const q = text(search.q);
  const group = text(search.group);
  const tag = text(search.tag);
  const sort = text(search.sort);
  const page = whole(search.page);
  const size = whole(search.size);
  const kind = kinds.find((one) => one === search.kind);
  const condition = conditions.find((one) => one === search.condition);
  const period = periodText(periodOf(text(search.period)));
  return {
    ...(q && { q }),
    ...(kind && { kind }),
    ...(group && { group }),
    ...(tag && { tag }),
    ...(condition && { condition }),
    ...(sort && { sort }),
    ...(period !== "24h" && { period }),
    ...(search.view === "order" && { view: "order" as const }),
    ...(page > 1 && { page }),
    ...((size === 50 || size === 100) && { size }),
  };
}

/** The period over which requests and money are shown. */
export function periodOf(text: string | undefined): Period {
  return parsePeriod(text, "24h");
}

/** What the address of one channel says. */
export interface ChannelSearch {
  tab?: "test" | "settings";
  period?: string;
}

export function channelSearch(search: Record<string, unknown>): ChannelSearch {
  const period = periodText(periodOf(typeof search.period === "string" ? search.period : undefined));
  return {
    ...((search.tab === "test" || search.tab === "settings") && { tab: search.tab }),
    ...(period !== "24h" && { period }),
  };
}

/** What the address of the route explainer says. */
export interface ExplainSearch {
  model?: string;
  key?: number;
  endpoint?: string;
  ip?: string;
}

export function explainSearch(search: Record<string, unknown>): ExplainSearch {
  const text = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");
  const key = Number(search.key);
  return {
    ...(text(search.model) && { model: text(search.model) }),
    ...(Number.isSafeInteger(key) && key > 0 && { key }),
    ...(text(search.endpoint) && { endpoint: text(search.endpoint) }),
    ...(text(search.ip) && { ip: text(search.ip) }),
  };
}
