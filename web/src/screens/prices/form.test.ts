// @vitest-environment node
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { definitionOf, formOf, namedTwice, newTier, plain } from "./form";

interface Schema {
  properties: Record<string, Member>;
}
interface Member {
  type?: string;
  $ref?: string;
  items?: Member;
  additionalProperties?: Member;
}
const { schemas } = JSON.parse(readFileSync(new URL("../../../../docs/openapi.json", import.meta.url), "utf8"))
  .components as { schemas: Record<string, Schema> };

/** A value with every member that the API's document has, all of them different. */
function whole(of: Member, next: () => number, but: string[] = []): unknown {
  if (of.$ref) {
    const { properties } = schemas[of.$ref.split("/").at(-1) ?? ""] as Schema;
    const members = Object.entries(properties).filter(([name]) => !but.includes(name));
    return Object.fromEntries(members.map(([name, member]) => [name, whole(member, next, but)]));
  }
  if (of.items) return [whole(of.items, next, but)];
  if (of.additionalProperties) return { flex: whole(of.additionalProperties, next, ["over"]) };
  return of.type === "string" ? `word-${next()}` : next();
}

const numbers = (_: string, value: unknown) =>
  typeof value === "string" && /^[\d.]+$/.test(value) ? Number(value) : value;

describe("the form of a price", () => {
  it("keeps the digits that were typed, and what was not", () => {
    const form = formOf(undefined);
    form.rates.input = " $1,000.000001 ";
    form.rates.output = "0";
    form.perRequest = "0.0000000010";
    expect(definitionOf(form)).toEqual({ input: "1000.000001", output: "0", per_request: "0.0000000010" });
  });
  it("leaves it to the server to refuse what is no number, whose comma may be meant as a point", () => {
    const form = { ...formOf(undefined), maxOutput: "16k" };
    form.rates.input = "0,15";
    expect(definitionOf(form)).toEqual({ input: "0,15", max_output_tokens: "16k" });
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
    const again = JSON.parse(JSON.stringify(definitionOf(formOf(price))), numbers);
    expect(again).toEqual(price);
  });
  it("says again every member that a price may have, also in tiers", () => {
    let n = 0;
    const price = whole({ $ref: "#/components/schemas/PriceDefinition" }, () => ++n) as Schemas["PriceDefinition"];
    expect(Object.keys(price.above_prompt_tokens?.[0] ?? {}).length).toBeGreaterThan(10);
    expect(JSON.parse(JSON.stringify(definitionOf(formOf(price))), numbers)).toEqual(price);
  });
  it("keeps a price of nothing in a tier, and leaves out only rows that say nothing", () => {
    const form = formOf({ input: 1, output: 2, service_tiers: { free: { input: 0, cache_write_1h: 0 } } });
    form.longPrompts = [newTier(), { at: "", rates: { ...newTier().rates, audio_input: "3" } }];
    expect(definitionOf(form)).toEqual({
      input: "1",
      output: "2",
      above_prompt_tokens: [{ over: undefined, audio_input: "3" }], // the server says what it lacks
      service_tiers: { free: { input: "0", cache_write_1h: "0" } },
    });
  });
  it("finds service tiers that would take each other's place", () => {
    const named = (at: string) => ({ ...newTier(), at });
    expect([...namedTwice([named("flex"), named(""), named(" flex "), named(""), named("batch")])]).toEqual(["flex"]);
  });
  it("writes small numbers without an exponent", () => {
    expect([plain(1e-7), plain(2.5), plain(128_000)]).toEqual(["0.0000001", "2.5", "128000"]);
  });
});
