import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { isAddress } from "./address";
import { bodyOf, checkDraft, draftOf, newDraft } from "./draft";

const now = Date.parse("2026-11-29T12:00:00Z") / 1000;

const key: Schemas["Key"] = {
  id: 3,
  user_id: 1,
  key: "sk-hly…abcd",
  status: 1,
  name: "search",
  created_time: 0,
  accessed_time: 0,
  expired_time: Date.parse("2026-12-25T00:00:00Z") / 1000,
  remain_quota: 1_250_001,
  unlimited_quota: false,
  model_limits_enabled: true,
  model_limits: "gpt-5*,claude-*",
  allow_ips: "10.0.0.0/8\n::1",
  used_quota: 0,
  group: "auto",
  cross_group_retry: true,
  held_quota: 0,
  version: 4,
  limits: {
    rpm: 60,
    rpd: null,
    tpm: null,
    tpm_input: null,
    tpm_output: 9,
    concurrency: 2,
    per_model: { "gpt-5*": { rpm: 10, tpm: null, tpm_input: null, tpm_output: null } },
    budgets: [{ amount: 500_000, period: "hours:6", time_zone: "UTC", used: 3, renews_at: 0, anchor: 0 }],
    endpoints: ["chat"],
    auto_groups: null,
    parent_id: null,
    metadata: { team: "search" },
  },
};

describe("the form of a key", () => {
  it("sends nothing when nothing was changed: what it does not show stays as it is", () => {
    for (const zone of ["UTC", "Asia/Shanghai", "America/St_Johns"]) {
      const draft = draftOf(key, zone);
      expect(bodyOf({ ...draft }, now, zone, draft)).toEqual({});
    }
  });

  it("sends what was changed, and takes away what was emptied", () => {
    const before = draftOf(key, "UTC");
    const after = {
      ...before,
      name: " find ",
      amount: "2",
      rpm: "",
      concurrency: "5",
      addresses: [],
      budgets: [],
      endpoints: [],
    };
    expect(bodyOf(after, now, "UTC", before)).toEqual({
      name: "find",
      remain_quota: 1_000_000,
      allow_ips: null,
      limits: { rpm: null, concurrency: 5, budgets: null, endpoints: null },
    });
  });

  it("makes a plain key of a name and an amount", () => {
    expect(bodyOf({ ...newDraft(), name: "a" }, now, "UTC")).toEqual({
      name: "a",
      unlimited_quota: false,
      remain_quota: 2_500_000,
      expired_time: -1,
      model_limits_enabled: false,
      model_limits: undefined,
      allow_ips: null,
      group: "",
      cross_group_retry: false,
    });
  });

  it("ends a key after so many days, or with the day of one's choice in one's zone", () => {
    expect(bodyOf({ ...newDraft(), expiry: "7" }, now + 0.5, "UTC").expired_time).toBe(now + 7 * 86_400);
    const end = bodyOf({ ...newDraft(), expiry: "date", expiryDate: "2026-12-24" }, now, "Asia/Shanghai").expired_time;
    expect(end).toBe(Date.parse("2026-12-24T16:00:00Z") / 1000);
  });

  it("takes the amount in units, too", () => {
    expect(bodyOf({ ...newDraft(), amount: "7", amountIn: "units" }, now, "UTC").remain_quota).toBe(7);
    expect(checkDraft({ ...newDraft(), name: "a", amount: "0.5", amountIn: "units" })).toEqual({
      amount: "form.wrong.amount",
    });
  });

  it("sends all rates and metadata when one of them changed, as the server replaces them whole", () => {
    const before = draftOf(key, "UTC");
    const row = { row: 1, model: " claude-* ", rpm: "", tpm: "", tpm_input: "500", tpm_output: "" };
    const after = {
      ...before,
      tpm_output: "",
      modelRates: [...before.modelRates, row],
      metadata: [...before.metadata, { row: 1, name: " owner ", text: "Ada" }],
    };
    expect(bodyOf(after, now, "UTC", before).limits).toEqual({
      tpm_output: null,
      per_model: {
        "gpt-5*": { rpm: 10, tpm: null, tpm_input: null, tpm_output: null },
        "claude-*": { rpm: null, tpm: null, tpm_input: 500, tpm_output: null },
      },
      metadata: { team: "search", owner: "Ada" },
    });
    expect(bodyOf({ ...before, modelRates: [], metadata: [] }, now, "UTC", before).limits).toEqual({
      per_model: null,
      metadata: null,
    });
  });

  it("has each model and each name once, and no empty row", () => {
    const rates = { model: "a", rpm: "1", tpm: "", tpm_input: "", tpm_output: "" };
    expect(
      checkDraft({
        ...newDraft(),
        name: "n",
        modelRates: [
          { ...rates, row: 0 },
          { ...rates, row: 1, model: "a " },
          { ...rates, row: 2, model: "b", rpm: "" },
          { ...rates, row: 3, model: "" },
        ],
        metadata: [
          { row: 0, name: "x", text: "" },
          { row: 1, name: " x", text: "" },
          { row: 2, name: "", text: "y" },
        ],
      }),
    ).toEqual({
      "rates-1": "form.wrong.sameModel",
      "rates-2": "form.wrong.modelRates",
      "rates-3": "form.wrong.modelRates",
      "note-1": "form.wrong.sameNote",
      "note-2": "form.wrong.note",
    });
  });

  it("says what is wrong before the server has to", () => {
    expect(
      checkDraft({
        ...newDraft(),
        name: " ",
        amount: "-1",
        expiry: "date",
        someModels: true,
        rpm: "-1",
        tpm: "1.5",
        budgets: [{ row: 7, usd: "0", period: "day", hours: "" }],
      }),
    ).toEqual({
      name: "form.wrong.name",
      amount: "form.wrong.amount",
      expiryDate: "form.wrong.date",
      models: "form.wrong.models",
      rpm: "form.wrong.whole",
      tpm: "form.wrong.whole",
      "budget-7": "form.wrong.budget",
    });
    expect(checkDraft({ ...newDraft(), name: "a", unlimited: true, amount: "" })).toEqual({});
  });

  it("takes a key to which a limit of 0 was given, which lets nothing pass", () => {
    const none = {
      ...key,
      limits: { ...key.limits, rpm: 0, per_model: { a: { rpm: 0, tpm: null, tpm_input: null, tpm_output: null } } },
    };
    const draft = draftOf(none, "UTC");
    expect(checkDraft(draft)).toEqual({});
    expect(bodyOf({ ...draft, tpm: "0" }, now, "UTC", draft)).toEqual({ limits: { tpm: 0 } });
  });

  it("leaves budgets their zone and when they begin anew, for which it has no field", () => {
    const budget = {
      amount: 500_000,
      period: "day",
      time_zone: "Asia/Kolkata",
      used: 3,
      renews_at: 0,
      anchor: 1_800_000_000,
    };
    const draft = draftOf({ ...key, limits: { ...key.limits, budgets: [budget] } }, "UTC");
    const more = { row: 1, usd: "2", period: "month" as const, hours: "24" };
    expect(bodyOf({ ...draft, budgets: [...draft.budgets, more] }, now, "UTC", draft).limits?.budgets).toEqual([
      { amount: 500_000, period: "day", time_zone: "Asia/Kolkata", anchor: 1_800_000_000 },
      { amount: 1_000_000, period: "month" },
    ]);
  });
});

describe("addresses", () => {
  it.each(["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "2001:db8::/32", "fe80::1/128", "::ffff:1.2.3.4"])(
    "%s is one",
    (text) => {
      expect(isAddress(text)).toBe(true);
    },
  );
  it.each([
    "",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "10.0.0.1/33",
    "10.0.0.1/",
    "10.0.0.1/8/8",
    "::1/129",
    "1::2::3",
    "example.com",
    "fe80::1%eth0",
  ])("%s is none", (text) => {
    expect(isAddress(text)).toBe(false);
  });
});
