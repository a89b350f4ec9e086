import { describe, expect, it } from "vitest";
import { isNarrowed, usageSearch } from "./search";

describe("the address of the requests", () => {
  it("keeps what makes sense and drops the rest", () => {
    const full = {
      period: "30d",
      key: 4,
      model: "gpt-4o",
      status: 429,
      errors: true,
      request: "01abc",
      page: 2,
      size: 50,
    };
    expect(usageSearch(full)).toEqual(full);
    expect(
      usageSearch({ period: "7d", key: "x", status: 42, errors: "yes", request: " ", page: 1, size: 20, who: "me" }),
    ).toEqual({});
  });

  it("names a user only among everybody's requests", () => {
    expect(usageSearch({ who: "all", user: 3 })).toEqual({ who: "all", user: 3 });
    expect(usageSearch({ user: 3 })).toEqual({});
  });

  it("takes a model or a request id that looks like a number for text", () => {
    expect(usageSearch({ model: 4, request: 17 })).toEqual({ model: "4", request: "17" });
  });

  it("knows whether it is narrowed", () => {
    expect(isNarrowed({ period: "30d", page: 3, who: "all" })).toBe(false);
    expect(isNarrowed({ errors: true })).toBe(true);
  });
});
