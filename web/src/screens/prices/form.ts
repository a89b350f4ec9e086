import type { Schemas } from "@/api/client";
import { withoutGroups } from "@/format/money";

export const kinds = [
  "input",
  "output",
  "cache_read",
  "cache_write_5m",
  "cache_write_1h",
  "reasoning_output",
  "audio_input",
  "audio_output",
  "image_input",
  "image_output",
] as const;
export type Kind = (typeof kinds)[number];

/** What some requests cost instead, by kind; empty where it is as without the tier. */
export interface TierForm {
  /** A number of prompt tokens, or a service tier's name. */
  at: string;
  rates: Record<Kind, string>;
}

/** A price as it is typed: dollars per million tokens, empty for none. */
export interface PriceForm {
  rates: Record<Kind, string>;
  perRequest: string;
  perSearch: string;
  maxInput: string;
  maxOutput: string;
  vendor: string;
  mode: string;
  features: string[];
  created: number | undefined;
  longPrompts: TierForm[];
  serviceTiers: TierForm[];
}

const text = (value: number | undefined) => (value === undefined ? "" : plain(value));

/** A number's digits, without an exponent. */
export function plain(value: number): string {
  return value.toLocaleString("en-US", { useGrouping: false, maximumFractionDigits: 9 });
}

/** A price as it is read: at least cents, and every digit that counts. */
export function priced(value: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 9 });
}

function ratesOf(of: Partial<Record<Kind, number>> | undefined): Record<Kind, string> {
  return Object.fromEntries(kinds.map((kind) => [kind, text(of?.[kind])])) as Record<Kind, string>;
}

export function newTier(): TierForm {
  return { at: "", rates: ratesOf(undefined) };
}

export function formOf(price: Schemas["PriceDefinition"] | undefined): PriceForm {
  return {
    rates: ratesOf(price),
    perRequest: text(price?.per_request),
    perSearch: text(price?.per_search),
    maxInput: text(price?.max_input_tokens),
    maxOutput: text(price?.max_output_tokens),
    vendor: price?.vendor ?? "",
    mode: price?.mode ?? "",
    features: price?.features ?? [],
    created: price?.created,
    longPrompts: (price?.above_prompt_tokens ?? []).map((tier) => ({
      at: String(tier.over ?? ""),
      rates: ratesOf(tier),
    })),
    serviceTiers: Object.entries(price?.service_tiers ?? {}).map(([name, tier]) => ({
      at: name,
      rates: ratesOf(tier),
    })),
  };
}

/** Typed digits go to the server as they are, so that nothing is rounded here. */
const digits = (typed: string) => withoutGroups(typed).replace(/^\$/, "");

function some<Name extends string>(of: Record<Name, string>): Partial<Record<Name, string>> {
  return Object.fromEntries(
    Object.entries<string>(of)
      .map(([name, typed]) => [name, digits(typed)])
      .filter(([, typed]) => typed !== ""),
  ) as Partial<Record<Name, string>>;
}

/** Whether anything is typed into a row: one that is empty says nothing. */
export const isFilled = ({ at, rates }: TierForm) => at.trim() !== "" || Object.keys(some(rates)).length > 0;

/** Names of service tiers that are there twice, of which only one could be sent. */
export function namedTwice(tiers: readonly TierForm[]): Set<string> {
  const names = tiers.map(({ at }) => at.trim()).filter(Boolean);
  return new Set(names.filter((name, i) => names.indexOf(name) !== i));
}

/** The definition that the form says. */
export function definitionOf(form: PriceForm): Schemas["PriceDefinition"] {
  // What is no number goes to the server as it is, which says so.
  const count = (typed: string) => {
    const text = digits(typed);
    if (text === "") return undefined;
    return Number.isNaN(Number(text)) ? text : Number(text);
  };
  const maxInput = count(form.maxInput);
  const maxOutput = count(form.maxOutput);
  const longPrompts = form.longPrompts.filter(isFilled);
  const serviceTiers = form.serviceTiers.filter(isFilled);
  const definition = {
    ...some(form.rates),
    ...some({ per_request: form.perRequest, per_search: form.perSearch }),
    ...(maxInput !== undefined && { max_input_tokens: maxInput }),
    ...(maxOutput !== undefined && { max_output_tokens: maxOutput }),
    ...(form.vendor.trim() && { vendor: form.vendor.trim() }),
    ...(form.mode.trim() && { mode: form.mode.trim() }),
    ...(form.features.length > 0 && { features: form.features }),
    ...(form.created !== undefined && { created: form.created }),
    ...(longPrompts.length > 0 && {
      above_prompt_tokens: longPrompts.map((one) => ({ over: count(one.at), ...some(one.rates) })),
    }),
    ...(serviceTiers.length > 0 && {
      service_tiers: Object.fromEntries(serviceTiers.map((one) => [one.at.trim(), some(one.rates)])),
    }),
  };
  return definition as unknown as Schemas["PriceDefinition"]; // numbers may be strings
}
