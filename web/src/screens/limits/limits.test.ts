import { describe, expect, it } from "vitest";
import { limitsOf, limitsPatch } from "./limits";

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
