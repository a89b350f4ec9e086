import { describe, expect, it } from "vitest";
import type { Schemas } from "@/api/client";
import { bucketAt, partsOf, stackOf, sumEach, sumUp } from "./sums";

const point = (more: Partial<Schemas["UsagePoint"]>): Schemas["UsagePoint"] => ({
  time: 100,
  id: 0,
  name: "gpt-4o",
  requests: 1,
  tokens_in: 10,
  tokens_out: 5,
  usd: 0.5,
  errors: 0,
  latency_ms: 1000,
  first_byte_ms: 100,
  ...more,
});

describe("sums", () => {
  it("weigh latency by the requests that are no errors", () => {
    const sums = sumUp([point({ requests: 3, errors: 2 }), point({ requests: 3, latency_ms: 200 })]);
    expect(sums).toEqual({ usd: 1, requests: 6, errors: 2, tokensIn: 20, tokensOut: 10, latency: 400 });
    expect(sumUp([point({ errors: 1 })]).latency).toBe(0);
    expect(sumUp([]).requests).toBe(0);
  });

  it("count a point to the bucket that it is in", () => {
    expect([99, 100, 199, 200, 999].map((at) => bucketAt([100, 200], at))).toEqual([-1, 0, 0, 1, 1]);
    // Half-hour zones: the server's hours begin within ours.
    const each = sumEach([point({ time: 50 }), point({ time: 130 }), point({ time: 200 })], [100, 200, 300]);
    expect(each.map((sums) => sums.requests)).toEqual([2, 1, 0]);
  });
});

describe("parts", () => {
  it("stand in the order of spend, then of requests", () => {
    const points = [
      point({ name: "idle", usd: 0, requests: 1 }),
      point({ name: "busy", usd: 0, requests: 9 }),
      point({ name: "dear", usd: 3 }),
      point({ name: "dear", time: 200, usd: 1 }),
    ];
    const parts = partsOf(points, [100, 200]);
    expect(parts.map((part) => part.name)).toEqual(["dear", "busy", "idle"]);
    expect(parts[0]?.spend).toEqual([3, 1]);
  });

  it("of one name are told apart", () => {
    const parts = partsOf(
      [point({ id: 1, name: "ci", usd: 2 }), point({ id: 2, name: "ci" }), point({ id: 3 })],
      [100],
    );
    expect(parts.map((part) => part.name)).toEqual(["ci #1", "ci #2", "gpt-4o"]);
  });

  it("beyond the most are one series, and free ones none", () => {
    const parts = partsOf(
      [1, 2, 3, 4].map((usd) => point({ name: `m${usd}`, usd })).concat(point({ name: "free", usd: 0 })),
      [100],
    );
    expect(stackOf(parts, 4, "rest").map((one) => one.label)).toEqual(["m4", "m3", "m2", "m1"]);
    expect(stackOf(parts, 3, "rest")).toEqual([
      { label: "m4", values: [4] },
      { label: "m3", values: [3] },
      { label: "rest", values: [3] },
    ]);
  });
});
