import { describe, expect, it } from "vitest";
import { budgetsBody, budgetsOf } from "./budgets";
import { limitsGood, limitsOf, limitsPatch } from "./limits";

const saved = limitsOf({
  rpm: 60,
  rpd: null,
  tpm: null,
  tpm_input: 5000,
  tpm_output: null,
  concurrency: null,
  per_model: { "gpt-5*": { rpm: 3, tpm: null, tpm_input: null, tpm_output: 9 } },
});

describe("limits", () => {
  it("send nothing that stays", () => {
    expect(limitsPatch(saved, saved)).toBeUndefined();
  });
  it("are taken away by null and set by a number", () => {
    const form = { ...saved, rates: { ...saved.rates, rpm: "", tpm: "1,000" } };
    expect(limitsPatch(form, saved)).toEqual({ rpm: null, tpm: 1000 });
  });
  it("keep what has no field of its own for a model", () => {
    const models = saved.models.map((line) => ({ ...line, rpm: "4" }));
    expect(limitsPatch({ ...saved, models }, saved)).toEqual({
      per_model: { "gpt-5*": { rpm: 4, tpm: null, tpm_input: null, tpm_output: 9 } },
    });
    expect(limitsPatch({ ...saved, models: [] }, saved)).toEqual({ per_model: null });
  });
});

describe("what was typed as a limit", () => {
  it.each(["", " 60 ", "0", "1,000"])("“%s” can be one", (typed) => {
    expect(limitsGood({ ...saved, rates: { ...saved.rates, rpm: typed } })).toBe(true);
  });
  it.each(["60/min", "1.5", "-1", "1e3", ",", "1,5"])("“%s” is none, and does not take the limit away", (typed) => {
    expect(limitsGood({ ...saved, rates: { ...saved.rates, rpm: typed } })).toBe(false);
    expect(limitsGood({ ...saved, models: saved.models.map((line) => ({ ...line, tpm: typed })) })).toBe(false);
  });
});

describe("budgets", () => {
  it("keep their zone and when they begin anew", () => {
    const budget = { amount: 500_000, period: "day", time_zone: "Asia/Kolkata", used: 3, renews_at: 0 };
    const lines = budgetsOf([budget, { ...budget, anchor: 1_800_000_000 }]);
    expect(budgetsBody([...lines, { usd: "2", period: "month" }])).toEqual([
      { amount: 500_000, period: "day", time_zone: "Asia/Kolkata" },
      { amount: 500_000, period: "day", time_zone: "Asia/Kolkata", anchor: 1_800_000_000 },
      { amount: 1_000_000, period: "month" },
    ]);
  });
});
