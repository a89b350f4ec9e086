import type { Schemas } from "@/api/client";
import { parseUsd, unitsPerUsd, usdField } from "@/format/money";
import { dateOf, instantOf } from "@/format/zone";

/** A renewing budget in the form. */
export interface BudgetDraft {
  /** Tells rows apart. */
  row: number;
  usd: string;
  period: "day" | "week" | "month" | "hours";
  hours: string;
  /** What has no field here and stays: the zone of its days, and when it begins anew. */
  rest?: { time_zone: string; anchor: number | undefined };
}

/** The rates of the models that a pattern has, in the form. */
export interface ModelRatesDraft {
  row: number;
  model: string;
  rpm: string;
  tpm: string;
  tpm_input: string;
  tpm_output: string;
}

/** A name and a text that the owner keeps with the key. */
export interface NoteDraft {
  row: number;
  name: string;
  text: string;
}

/** How long a key is to live: what is kept, a number of days from now, or a day of one's choice. */
export type Expiry = "never" | "7" | "30" | "90" | "365" | "date";

/** The form of a key, as its fields have it. */
export interface Draft {
  name: string;
  unlimited: boolean;
  amount: string;
  amountIn: "usd" | "units";
  budgets: BudgetDraft[];
  expiry: Expiry;
  expiryDate: string;
  someModels: boolean;
  models: string[];
  addresses: string[];
  endpoints: Endpoint[];
  group: string;
  crossGroupRetry: boolean;
  rpm: string;
  tpm: string;
  tpm_input: string;
  tpm_output: string;
  rpd: string;
  concurrency: string;
  modelRates: ModelRatesDraft[];
  metadata: NoteDraft[];
}

export const endpoints = [
  "chat",
  "responses",
  "messages",
  "gemini",
  "embeddings",
  "images",
  "audio",
  "rerank",
  "moderations",
  "videos",
  "realtime",
] as const;
export type Endpoint = (typeof endpoints)[number];

export const rates = ["rpm", "tpm", "tpm_input", "tpm_output", "rpd", "concurrency"] as const;
/** What can be limited for some models alone. */
export const modelRates = ["rpm", "tpm", "tpm_input", "tpm_output"] as const;

/** What a member of the form breaks: a message of the catalog "keys". */
export type DraftErrors = Partial<
  Record<
    | "name"
    | "amount"
    | "expiryDate"
    | "models"
    | (typeof rates)[number]
    | `budget-${number}`
    | `rates-${number}`
    | `note-${number}`,
    | "form.wrong.name"
    | "form.wrong.amount"
    | "form.wrong.date"
    | "form.wrong.models"
    | "form.wrong.whole"
    | "form.wrong.budget"
    | "form.wrong.modelRates"
    | "form.wrong.sameModel"
    | "form.wrong.note"
    | "form.wrong.sameNote"
  >
>;

/** The form of a new key, or of one that another issues. */
export function newDraft(parent?: Pick<Schemas["Key"], "group" | "unlimited_quota" | "remain_quota">): Draft {
  if (parent) {
    const left = parent.unlimited_quota ? Number.POSITIVE_INFINITY : parent.remain_quota;
    return { ...newDraft(), group: parent.group, amount: usdField(Math.min(5 * unitsPerUsd, left)) };
  }
  return {
    name: "",
    unlimited: false,
    amount: "5",
    amountIn: "usd",
    budgets: [],
    expiry: "never",
    expiryDate: "",
    someModels: false,
    models: [],
    addresses: [],
    endpoints: [],
    group: "",
    crossGroupRetry: false,
    rpm: "",
    tpm: "",
    tpm_input: "",
    tpm_output: "",
    rpd: "",
    concurrency: "",
    modelRates: [],
    metadata: [],
  };
}

/** The form of a key that there is. */
export function draftOf(key: Schemas["Key"], zone: string): Draft {
  const { limits } = key;
  const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
  return {
    name: key.name,
    unlimited: key.unlimited_quota,
    amount: usdField(key.remain_quota),
    amountIn: "usd",
    budgets: (limits.budgets ?? []).map((budget, row) => ({
      row,
      usd: usdField(budget.amount),
      period: budget.period.startsWith("hours:") ? "hours" : (budget.period as "day" | "week" | "month"),
      hours: budget.period.startsWith("hours:") ? budget.period.slice("hours:".length) : "24",
      rest: { time_zone: budget.time_zone, anchor: budget.anchor || undefined },
    })),
    expiry: key.expired_time < 0 ? "never" : "date",
    expiryDate: key.expired_time < 0 ? "" : dateOf(key.expired_time - 1, zone),
    someModels: key.model_limits_enabled,
    models: key.model_limits === "" ? [] : key.model_limits.split(","),
    addresses: key.allow_ips?.split("\n") ?? [],
    endpoints: (limits.endpoints ?? []) as Endpoint[],
    group: key.group,
    crossGroupRetry: key.cross_group_retry,
    rpm: text(limits.rpm),
    tpm: text(limits.tpm),
    tpm_input: text(limits.tpm_input),
    tpm_output: text(limits.tpm_output),
    rpd: text(limits.rpd),
    concurrency: text(limits.concurrency),
    modelRates: Object.entries(limits.per_model ?? {}).map(([model, rate], row) => ({
      row,
      model,
      rpm: text(rate.rpm),
      tpm: text(rate.tpm),
      tpm_input: text(rate.tpm_input),
      tpm_output: text(rate.tpm_output),
    })),
    metadata: Object.entries(limits.metadata ?? {}).map(([name, text], row) => ({ row, name, text })),
  };
}

/** The quota units that the form's amount is. */
export function amountOf({ amount, amountIn }: Pick<Draft, "amount" | "amountIn">): number | undefined {
  if (amountIn === "usd") return parseUsd(amount);
  return /^\d+$/.test(amount.trim()) ? Number(amount.trim()) : undefined;
}

export function checkDraft(draft: Draft): DraftErrors {
  const errors: DraftErrors = {};
  if (draft.name.trim() === "") errors.name = "form.wrong.name";
  const amount = amountOf(draft);
  if (!draft.unlimited && (amount === undefined || amount < 0)) errors.amount = "form.wrong.amount";
  if (draft.expiry === "date" && !/^\d{4}-\d{2}-\d{2}$/.test(draft.expiryDate)) errors.expiryDate = "form.wrong.date";
  if (draft.someModels && draft.models.length === 0) errors.models = "form.wrong.models";
  const whole = (text: string) => /^\d+$/.test(text.trim()); // 0 lets nothing pass
  for (const rate of rates) {
    if (draft[rate].trim() !== "" && !whole(draft[rate])) errors[rate] = "form.wrong.whole";
  }
  const models = new Set<string>();
  for (const of of draft.modelRates) {
    const model = of.model.trim();
    const given = modelRates.filter((rate) => of[rate].trim() !== "");
    if (model === "" || given.length === 0 || !given.every((rate) => whole(of[rate])))
      errors[`rates-${of.row}`] = "form.wrong.modelRates";
    else if (models.has(model)) errors[`rates-${of.row}`] = "form.wrong.sameModel";
    models.add(model);
  }
  const names = new Set<string>();
  for (const { row, name } of draft.metadata) {
    if (name.trim() === "") errors[`note-${row}`] = "form.wrong.note";
    else if (names.has(name.trim())) errors[`note-${row}`] = "form.wrong.sameNote";
    names.add(name.trim());
  }
  for (const budget of draft.budgets) {
    const usd = parseUsd(budget.usd);
    const hours = budget.period !== "hours" || /^[1-9]\d*$/.test(budget.hours);
    if (usd === undefined || usd <= 0 || !hours) errors[`budget-${budget.row}`] = "form.wrong.budget";
  }
  return errors;
}

/** The instant in Unix seconds at which a key of the form ends; -1 is never. A child of a key that ends ends with it. */
function endOf(draft: Draft, now: number, zone: string, parentEnds: number | undefined): number {
  if (draft.expiry === "never") return parentEnds ?? -1;
  if (draft.expiry === "date") {
    const end = instantOf(draft.expiryDate, zone, "23:59") + 60;
    const together = parentEnds !== undefined && draft.expiryDate === dateOf(parentEnds - 1, zone);
    return together ? Math.min(end, parentEnds) : end;
  }
  return Math.floor(now) + Number(draft.expiry) * 86_400;
}

type Body = Omit<Schemas["KeyBody"], "id">;

/** The body of the form, which checkDraft has nothing against; of a change only what differs. */
export function bodyOf(draft: Draft, now: number, zone: string, before?: Draft, parentEnds?: number): Body {
  const budgets = (of: Draft) =>
    of.budgets.length === 0
      ? null
      : of.budgets.map((budget) => ({
          amount: parseUsd(budget.usd) ?? 0,
          period: budget.period === "hours" ? `hours:${budget.hours}` : budget.period,
          ...budget.rest,
        }));
  const number = (text: string) => (text.trim() === "" ? null : Number(text));
  const perModel = (of: Draft) =>
    of.modelRates.length === 0
      ? null
      : Object.fromEntries(
          of.modelRates.map((one) => [
            one.model.trim(),
            Object.fromEntries(modelRates.map((rate) => [rate, number(one[rate])])),
          ]),
        );
  const members = (of: Draft) => ({
    name: of.name.trim(),
    unlimited_quota: of.unlimited,
    remain_quota: of.unlimited ? undefined : amountOf(of),
    expired_time: endOf(of, now, zone, parentEnds),
    model_limits_enabled: of.someModels,
    model_limits: of.someModels ? of.models.join(",") : undefined,
    allow_ips: of.addresses.length === 0 ? null : of.addresses.join("\n"),
    group: of.group,
    cross_group_retry: of.group === "auto" && of.crossGroupRetry,
  });
  const limits = (of: Draft) => ({
    ...Object.fromEntries(rates.map((rate) => [rate, number(of[rate])])),
    per_model: perModel(of),
    metadata:
      of.metadata.length === 0 ? null : Object.fromEntries(of.metadata.map(({ name, text }) => [name.trim(), text])),
    budgets: budgets(of),
    endpoints: of.endpoints.length === 0 ? null : of.endpoints,
  });
  const after = members(draft);
  const changed = before ? differing(after, members(before)) : after;
  const changedLimits = before
    ? differing(limits(draft), limits(before))
    : differing(limits(draft), limits(newDraft()));
  return { ...changed, ...(Object.keys(changedLimits).length > 0 ? { limits: changedLimits } : {}) } as Body;
}

function differing<Members extends object>(after: Members, before: Members): Partial<Members> {
  return Object.fromEntries(
    Object.entries(after).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify((before as Record<string, unknown>)[name]),
    ),
  ) as Partial<Members>;
}
