import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { boundsOf, fits, modelsWithin } from "./bounds";
import { bodyOf, newDraft } from "./draft";
import { modelFor } from "./value-dialog";

const now = Date.parse("2026-11-29T12:00:00Z") / 1000;
const ends = Date.parse("2026-12-24T18:30:00Z") / 1000;

const parent = {
  name: "search",
  group: "vip",
  expired_time: ends,
  remain_quota: 1_000_000,
  unlimited_quota: false,
  model_limits_enabled: true,
  model_limits: "gpt-5*,claude-opus",
  allow_ips: "10.0.0.0/8\n::1/128",
  limits: {
    rpm: 60,
    rpd: null,
    tpm: null,
    tpm_input: null,
    tpm_output: null,
    concurrency: 0,
    per_model: { "gpt-5*": { rpm: 10, tpm: null, tpm_input: null, tpm_output: null } },
    budgets: null,
    endpoints: ["chat"],
    auto_groups: null,
    parent_id: null,
    metadata: null,
  },
} as unknown as Schemas["Key"];

describe("what a key lets its children have", () => {
  it("is everything that the key itself is limited to", () => {
    expect(boundsOf(parent)).toEqual({
      name: "search",
      left: 1_000_000,
      ends,
      models: ["gpt-5*", "claude-opus"],
      addresses: ["10.0.0.0/8", "::1/128"],
      endpoints: ["chat"],
      rates: { rpm: 60, concurrency: 0 },
      modelRates: [{ model: "gpt-5*", rates: { rpm: 10 } }],
      budgets: false,
    });
  });

  it("offers the parent's patterns and the models that they have", () => {
    const offered = ["gpt-5-mini", "GPT-5", "gpt-4o", "claude-opus", "claude-opus-5"];
    expect(modelsWithin(boundsOf(parent), offered)).toEqual(["gpt-5*", "claude-opus", "gpt-5-mini"]);
    expect(modelsWithin(undefined, offered)).toEqual(offered);
  });

  it("reads patterns as the server does", () => {
    expect(fits("a.c*", "a.cd")).toBe(true);
    expect(fits("a.c*", "abcd")).toBe(false);
    expect(fits("*mini", "gpt-5-mini")).toBe(true);
    expect(fits("gpt*", "GPT-5")).toBe(false);
  });
});

describe("the form of a child", () => {
  it("begins with the parent's group, no more than it has left, and ends with it", () => {
    const draft = { ...newDraft(parent), name: "agent" };
    expect(bodyOf(draft, now, "UTC", undefined, ends)).toMatchObject({
      group: "vip",
      remain_quota: 1_000_000,
      expired_time: ends,
    });
    expect(newDraft({ ...parent, unlimited_quota: true }).amount).toBe("5");
  });

  it("ends on the parent's last day when the parent does, not at midnight", () => {
    const draft = { ...newDraft(parent), name: "agent", expiry: "date" as const };
    const end = (expiryDate: string) => bodyOf({ ...draft, expiryDate }, now, "UTC", undefined, ends).expired_time;
    expect(end("2026-12-24")).toBe(ends);
    expect(end("2026-12-23")).toBe(Date.parse("2026-12-24T00:00:00Z") / 1000);
    expect(end("2026-12-25")).toBeGreaterThan(ends); // the server says what is wrong with it
  });
});

describe("the model of an example", () => {
  it("is one that the key's patterns have as a whole", () => {
    const offered = ["claude-opus", "gpt-5", "gpt-5-mini"];
    expect(modelFor({ ...parent, model_limits: "*-mini" }, offered)).toBe("gpt-5-mini");
    expect(modelFor({ ...parent, model_limits: "gpt-*-nano" }, offered)).toBe("MODEL");
  });
});
