import { expect, test } from "vitest";
import { distance } from "./format";

const hour = 3600;
const day = 24 * hour;

test("how far off an instant is", () => {
  const told = (seconds: number) => distance(seconds, "en-US");
  expect(told(0.4)).toBe("now");
  expect(told(-59)).toBe("59 seconds ago");
  expect(told(61)).toBe("in 1 minute");
  expect(told(-1.9 * hour)).toBe("1 hour ago");
  expect(told(2.5 * day)).toBe("in 2 days");
  expect(told(-45 * day)).toBe("45 days ago");
  expect(told(-70 * day)).toBe("2 months ago");
  expect(told(400 * day)).toBe("in 1 year");
  expect(distance(3 * day, "zh-CN")).toBe("3天后");
});

test("a day and a half is not called tomorrow, nor yesterday", () => {
  expect(distance(36 * hour, "en-US")).toBe("in 36 hours");
  expect(distance(-36 * hour, "en-US")).toBe("36 hours ago");
});
