import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { find } from "./find";

const offer = (model: string, more: Partial<Schemas["Price"]> | null, groups = ["default"]) =>
  ({ model, groups, price: more && { model, vendor: "acme", mode: "chat", ...more } }) as Schemas["Offer"];

const offers = [
  offer("b-large", { input: 5, output: 20, features: ["vision"] }),
  offer("a-small", { input: 0.1, output: 0.4, max_input_tokens: 1000 }, ["default", "vip"]),
  offer("c-unpriced", null),
];
const names = (search: Parameters<typeof find>[1]) => find(offers, search).map((one) => one.model);

describe("the catalog", () => {
  it("is found by words of name, vendor and features", () => {
    expect(names({ q: "vision acme" })).toEqual(["b-large"]);
    expect(names({ q: "SMALL" })).toEqual(["a-small"]);
    expect(names({ q: "small vision" })).toEqual([]);
  });
  it("is narrowed by group", () => {
    expect(names({ group: "vip" })).toEqual(["a-small"]);
  });
  it("is sorted, what has no price last", () => {
    expect(names({})).toEqual(["a-small", "b-large", "c-unpriced"]);
    expect(names({ sort: "-model" })).toEqual(["c-unpriced", "b-large", "a-small"]);
    expect(names({ sort: "-input" })).toEqual(["b-large", "a-small", "c-unpriced"]);
    expect(names({ sort: "output" })).toEqual(["a-small", "b-large", "c-unpriced"]);
  });
});
