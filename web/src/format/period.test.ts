import { describe, expect, it } from "vitest";
import { bucketsOf, parsePeriod, periodText, rangeBefore, rangeOf } from "./period";
import { dateOf, instantOf } from "./zone";

const at = (text: string) => Date.parse(text) / 1000;

describe("zones", () => {
  it.each([
    ["2026-11-29", "UTC", "2026-11-29T00:00:00Z"],
    ["2026-11-29", "Asia/Shanghai", "2026-11-28T16:00:00Z"],
    ["2026-07-01", "America/New_York", "2026-07-01T04:00:00Z"],
    ["2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00Z"], // clocks go forward that night
    ["2026-03-30", "Europe/Berlin", "2026-03-29T22:00:00Z"],
    ["2026-10-26", "Europe/Berlin", "2026-10-25T23:00:00Z"],
  ])("%s begins in %s at %s", (date, zone, instant) => {
    expect(instantOf(date, zone)).toBe(at(instant));
    expect(dateOf(at(instant), zone)).toBe(date);
    expect(dateOf(at(instant) - 1, zone)).not.toBe(date);
  });
});

describe("periods", () => {
  const now = at("2026-11-29T20:30:00Z");

  it.each(["7d", "month", "2026-01-01..2026-02-03"])("stand in the address: %s", (text) => {
    expect(periodText(parsePeriod(text))).toBe(text);
  });

  it.each([
    "",
    "8d",
    "2026-02-03..2026-01-01",
    "2026-1-1..2026-2-2",
    "2026-02-30..2026-03-01",
    "2026-13-01..2026-13-02",
    "0202-01-01..2026-01-01", // a year half typed: more days than can be drawn
    "2026-01-01..9999-12-31",
    7,
    null,
  ])("fall back where there is none: %s", (text) => {
    expect(parsePeriod(text, "30d")).toEqual({ preset: "30d" });
  });

  it("have days of the viewer's zone, today included", () => {
    // In Shanghai it is the 30th already.
    const range = rangeOf({ preset: "7d" }, now, "Asia/Shanghai");
    expect(range).toEqual({ from: at("2026-11-23T16:00:00Z"), to: at("2026-11-30T16:00:00Z"), bucket: "day" });
    expect(bucketsOf(range, "Asia/Shanghai")).toHaveLength(7);
  });

  it("have whole hours for a day", () => {
    const range = rangeOf({ preset: "24h" }, now, "UTC");
    expect(range.to).toBe(at("2026-11-29T21:00:00Z"));
    expect(bucketsOf(range, "UTC")).toHaveLength(24);
  });

  it("count both ends of two dates, over a change of the clocks", () => {
    const range = rangeOf({ from: "2026-10-24", to: "2026-10-26" }, now, "Europe/Berlin");
    expect(range.to - range.from).toBe(3 * 86_400 + 3600);
    expect(bucketsOf(range, "Europe/Berlin")).toHaveLength(3);
  });

  it("end where this month begins: last month", () => {
    const range = rangeOf({ preset: "last-month" }, at("2026-01-15T12:00:00Z"), "UTC");
    expect(range).toEqual({ from: at("2025-12-01T00:00:00Z"), to: at("2026-01-01T00:00:00Z"), bucket: "day" });
    expect(rangeBefore(range).to).toBe(range.from);
  });
});
