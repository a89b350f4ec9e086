import { expect, it } from "vitest";
import { expiresAt, today } from "./expiry";

const now = Date.parse("2026-11-29T14:00:00Z") / 1000;
const zone = "Asia/Shanghai"; // UTC+8

it("ends so many days from now", () => {
  expect(expiresAt("30", "", now, zone)).toBe(now + 30 * 86_400);
  expect(expiresAt("never", "", now, zone)).toBe(-1);
});

it("ends with the chosen day, where the viewer is", () => {
  expect(expiresAt("date", "2026-12-24", now, zone)).toBe(Date.parse("2026-12-24T16:00:00Z") / 1000);
  expect(expiresAt("date", "2026-11-29", now, zone)).toBe(Date.parse("2026-11-29T16:00:00Z") / 1000);
});

it("takes no day that is over, nor none", () => {
  expect(expiresAt("date", "2026-11-28", now, zone)).toBeUndefined();
  expect(expiresAt("date", "", now, zone)).toBeUndefined();
});

it("knows the viewer's day", () => {
  expect(today(Date.parse("2026-11-29T17:00:00Z") / 1000, zone)).toBe("2026-11-30");
});
