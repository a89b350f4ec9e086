import { describe, expect, it } from "vitest";
import { type Health, type State, summarize } from "./health";

const target = (state: State, more: Partial<Health> = {}): Health => ({
  key: "1234",
  model: "gpt-4o",
  state,
  reason: "",
  until: 0,
  since: 0,
  succeeded: 0,
  failed: 0,
  first_byte_ms: 0,
  ...more,
});

describe("a channel's health in one line", () => {
  it("is unknown before anything was sent", () => {
    expect(summarize({ status: 1, health: [] })).toMatchObject({
      condition: "unused",
      worst: undefined,
      firstByteMs: 0,
    });
  });
  it("says nothing of one that is switched off", () => {
    expect(summarize({ status: 2, health: [target("open")] }).condition).toBe("disabled");
  });
  it("is well while it recovers", () => {
    expect(summarize({ status: 1, health: [target("closed"), target("slow-start")] }).condition).toBe("well");
  });
  it("is impaired where no attempt was good, though too few for a breaker", () => {
    expect(summarize({ status: 1, health: [target("closed", { failed: 2 })] }).condition).toBe("impaired");
    expect(summarize({ status: 1, health: [target("closed", { failed: 2, succeeded: 1 })] }).condition).toBe("well");
  });
  it("is impaired where some of it works, and names the worst", () => {
    const health = [target("closed"), target("open", { reason: "too much failed" }), target("cooling-down")];
    expect(summarize({ status: 1, health })).toMatchObject({ condition: "impaired", ill: 2, targets: 3 });
    expect(summarize({ status: 1, health }).worst?.reason).toBe("too much failed");
  });
  it("is broken where nothing works, or no upstream key does", () => {
    expect(summarize({ status: 1, health: [target("open")] }).condition).toBe("broken");
    expect(summarize({ status: 1, health: [target("closed", { model: "" }), target("open")] }).condition).toBe(
      "broken",
    );
    expect(summarize({ status: 1, health: [target("out", { model: "" }), target("closed")] }).condition).toBe("broken");
  });
  it("counts each attempt once and weighs latency by attempts", () => {
    const health = [
      target("closed", { model: "", succeeded: 40, failed: 2 }),
      target("closed", { succeeded: 30, failed: 2, first_byte_ms: 100 }),
      target("closed", { model: "other", succeeded: 10, first_byte_ms: 500 }),
    ];
    expect(summarize({ status: 1, health })).toMatchObject({ succeeded: 40, failed: 2, firstByteMs: 200 });
  });
});
