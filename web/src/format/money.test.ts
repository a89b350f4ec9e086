import { describe, expect, it } from "vitest";
import { formatUsd, moneyDigits, parseUsd, unitsOf, usdField } from "./money";

describe("money", () => {
  it.each([
    [0, "$0.00"],
    [1234.5, "$1,234.50"],
    [0.999, "$1.00"],
    [0.25, "$0.25"],
    [0.0123456, "$0.0123"],
    [0.00000123456, "$0.00000123"],
    [0.000000001, "$0.000000001"],
    [-3.005, "-$3.01"],
  ])("tells %d as %s", (usd, text) => {
    expect(formatUsd(usd, "en")).toBe(text);
  });

  it("shows three digits that count below a dollar, and cents above", () => {
    expect([5, 1, 0.5, 0.05, 0.005].map(moneyDigits)).toEqual([2, 2, 3, 4, 5]);
  });

  it.each([
    ["5", 2_500_000],
    ["$1,000", 500_000_000],
    ["-1,234,567.5", -617_283_750_000],
    [" 0.000002 ", 1],
    [".5", 250_000],
    ["-1", -500_000],
  ])("reads %s", (text, units) => {
    expect(parseUsd(text)).toBe(units);
  });

  it.each(["", "$", "five", "0,5", "1,50", "1,0000", "1.000,5", "1.2.3", "1e5", "99999999999999999"])(
    "does not read %s",
    (text) => {
      expect(parseUsd(text)).toBeUndefined();
    },
  );

  it("writes into a field what it reads from it", () => {
    for (const units of [0, 1, 499, 500_000, 123_456_789]) expect(parseUsd(usdField(units))).toBe(units);
    expect(unitsOf(0.1 + 0.2)).toBe(150_000);
  });
});
