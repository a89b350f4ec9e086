import { describe, expect, it } from "vitest";
import { auditSearch } from "./search";

describe("the address of the audit log", () => {
  it("keeps what narrows it", () => {
    const search = {
      actor: 0,
      action: "key.update",
      target: "key 12",
      kind: "key",
      request: "01m8",
      period: "7d",
      page: 2,
      size: 50,
    };
    expect(auditSearch(search)).toEqual(search);
  });

  it("leaves out what is as it is anyway, and what means nothing", () => {
    expect(
      auditSearch({ actor: "x", action: "", target: {}, kind: null, request: " ", period: "30d", page: 1, size: 7 }),
    ).toEqual({});
  });
});
