import { expect, it } from "vitest";
import { destination } from "./arrival";

it.each([
  [undefined, "/"],
  ["/keys?status=1", "/keys?status=1"],
  ["//elsewhere.example", "/"],
  ["/\\elsewhere.example", "/"],
  ["https://elsewhere.example/", "/"],
  ["keys", "/"],
])("goes from %s to %s", (from, to) => {
  expect(destination(from)).toBe(to);
});
