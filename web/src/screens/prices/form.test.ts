import { describe, expect, it } from "vitest";
import { definitionOf, formOf, plain } from "./form";

describe("the form of a price", () => {
  it("keeps the digits that were typed, and what was not", () => {
    const form = formOf(undefined);
    form.rates.input = " $1,000.000001 ";
    form.rates.output = "0";
    form.perRequest = "0.0000000010";
    expect(definitionOf(form)).toEqual({ input: "1000.000001", output: "0", per_request: "0.0000000010" });
  });
  it("says again what it was made from, tiers included", () => {
    const price = {
      vendor: "openai",
      mode: "chat",
      input: 0.000001,
      output: 10,
      features: ["vision"],
      created: 5,
      max_output_tokens: 16_384,
      above_prompt_tokens: [{ over: 200_000, input: 5, audio_input: 7 }],
      service_tiers: { flex: { input: 1, output: 2 } },
    };
    const again = JSON.parse(JSON.stringify(definitionOf(formOf(price))), (_, value) =>
      typeof value === "string" && /^[\d.]+$/.test(value) ? Number(value) : value,
    );
    expect(again).toEqual(price);
  });
  it("writes small numbers without an exponent", () => {
    expect([plain(1e-7), plain(2.5), plain(128_000)]).toEqual(["0.0000001", "2.5", "128000"]);
  });
});
