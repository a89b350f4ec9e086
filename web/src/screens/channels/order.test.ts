import { describe, expect, it } from "vitest";
import { beside, moved, priorities, type Tier, tiersOf } from "./order";

const channels = [
  { id: 1, priority: 20 },
  { id: 2, priority: 20 },
  { id: 3, priority: 10 },
  { id: 4, priority: 9 },
];

function made(tiers: Tier[]) {
  return Object.fromEntries(priorities(tiers));
}

describe("the order of channels", () => {
  it("has those of one priority in one step", () => {
    expect(tiersOf(channels)).toEqual([
      { priority: 20, ids: [1, 2] },
      { priority: 10, ids: [3] },
      { priority: 9, ids: [4] },
    ]);
  });
  it("changes nothing where nothing is moved", () => {
    expect(made(tiersOf(channels))).toEqual({ 1: 20, 2: 20, 3: 10, 4: 9 });
  });
  it("takes a channel into another step", () => {
    expect(made(moved(tiersOf(channels), 4, { at: 0, fresh: false }))).toEqual({ 1: 20, 2: 20, 3: 10, 4: 20 });
  });
  it("makes room for a new step", () => {
    expect(made(moved(tiersOf(channels), 1, { at: 1, fresh: true }))).toEqual({ 1: 15, 2: 20, 3: 10, 4: 9 });
    // Between 10 and 9 there is none: the one above goes up, those above it stay.
    expect(made(moved(tiersOf(channels), 1, { at: 2, fresh: true }))).toEqual({ 1: 10, 2: 20, 3: 15, 4: 9 });
  });
  it("puts a new step above or below all others", () => {
    expect(made(moved(tiersOf(channels), 3, { at: 0, fresh: true }))).toEqual({ 1: 20, 2: 20, 3: 30, 4: 9 });
    expect(made(moved(tiersOf(channels), 1, { at: 3, fresh: true }))).toEqual({ 1: -1, 2: 20, 3: 10, 4: 9 });
  });
  it("keeps the order for every way of moving", () => {
    for (const { id } of channels) {
      for (let at = 0; at <= 3; at++) {
        for (const fresh of [true, false]) {
          if (!fresh && at === 3) continue;
          const tiers = moved(tiersOf(channels), id, { at, fresh });
          const numbers = priorities(tiers);
          const steps = tiers.map((tier) => new Set(tier.ids.map((one) => numbers.get(one))));
          expect(steps.every((step) => step.size === 1)).toBe(true);
          const list = steps.map((step) => [...step][0] ?? 0);
          expect(list).toEqual([...new Set(list)].sort((a, b) => b - a));
        }
      }
    }
  });
  it("moves by keyboard out of a shared step, then into the next", () => {
    const tiers = tiersOf(channels);
    expect(beside(tiers, 2, 1)).toEqual({ at: 1, fresh: true });
    expect(beside(tiers, 1, -1)).toEqual({ at: 0, fresh: true });
    expect(beside(tiers, 3, 1)).toEqual({ at: 2, fresh: false });
    expect(beside(tiers, 4, 1)).toBeUndefined();
  });
});
