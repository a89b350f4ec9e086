import { expect, it } from "vitest";
import { ApiError } from "@/api/error";
import { clock, secondsLeft, waitsUntil } from "./wait";

const refused = (retryAfter?: number) => new ApiError(429, "too_many_attempts", "Wait.", undefined, "r", retryAfter);

it("waits as long as the server asks, and not where it asks nothing", () => {
  expect(waitsUntil(refused(90), 5_000)).toBe(95_000);
  expect(waitsUntil(refused(), 5_000)).toBeUndefined();
  expect(waitsUntil(new Error("other"), 5_000)).toBeUndefined();
});

it("counts whole seconds down to nothing", () => {
  expect(secondsLeft(95_000, 5_000)).toBe(90);
  expect(secondsLeft(95_000, 94_001)).toBe(1);
  expect(secondsLeft(95_000, 95_000)).toBe(0);
  expect(secondsLeft(95_000, 99_000)).toBe(0);
  expect(secondsLeft(undefined, 5_000)).toBe(0);
});

it.each([
  [5, "0:05"],
  [60, "1:00"],
  [872, "14:32"],
  [3_600, "1:00:00"],
  [3_725, "1:02:05"],
])("shows %i seconds as %s", (seconds, shown) => {
  expect(clock(seconds)).toBe(shown);
});
