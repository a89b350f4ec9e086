import type { Schemas } from "@/api/client";
import { withoutGroups } from "@/format/money";

export const rates = ["rpm", "rpd", "tpm", "tpm_input", "tpm_output", "concurrency"] as const;
export type Rate = (typeof rates)[number];

/** Limits of one model, or of a pattern of models, as they are typed. */
export interface ModelLine {
  model: string;
  rpm: string;
  tpm: string;
  /** What has no field here and stays. */
  rest: { tpm_input: number | null; tpm_output: number | null };
}

/** Limits as they are typed; empty is none. */
export interface LimitsForm {
  rates: Record<Rate, string>;
  models: ModelLine[];
}

const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));

export function limitsOf(limits: Schemas["Rates"] | undefined): LimitsForm {
  return {
    rates: Object.fromEntries(rates.map((rate) => [rate, text(limits?.[rate])])) as Record<Rate, string>,
    models: Object.entries(limits?.per_model ?? {}).map(([model, rate]) => ({
      model,
      rpm: text(rate.rpm),
      tpm: text(rate.tpm),
      rest: { tpm_input: rate.tpm_input ?? null, tpm_output: rate.tpm_output ?? null },
    })),
  };
}

const number = (typed: string) => (typed.trim() === "" ? null : Number(withoutGroups(typed)));

/** Whether a limit is as it can be: a whole number, 0 for nothing at all, or empty for none. */
export function limitGood(typed: string): boolean {
  return /^\d*$/.test(withoutGroups(typed));
}

/** Whether every limit is; what is none must not reach the API, which would read that there is no limit. */
export function limitsGood(form: LimitsForm): boolean {
  return (
    rates.every((rate) => limitGood(form.rates[rate])) &&
    form.models.every((line) => limitGood(line.rpm) && limitGood(line.tpm))
  );
}

/** The patch that makes the limits so; undefined when nothing changes. */
export function limitsPatch(form: LimitsForm, before: LimitsForm): Schemas["LimitPatch"] | undefined {
  const patch: Record<string, unknown> = {};
  for (const rate of rates) {
    if (number(form.rates[rate]) !== number(before.rates[rate])) patch[rate] = number(form.rates[rate]);
  }
  if (JSON.stringify(form.models) !== JSON.stringify(before.models)) {
    const lines = form.models.filter((line) => line.model.trim() !== "");
    patch.per_model =
      lines.length === 0
        ? null
        : Object.fromEntries(
            lines.map((line) => [line.model.trim(), { rpm: number(line.rpm), tpm: number(line.tpm), ...line.rest }]),
          );
  }
  return Object.keys(patch).length > 0 ? (patch as Schemas["LimitPatch"]) : undefined;
}
