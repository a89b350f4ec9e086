import { describe, expect, it } from "vitest";
import { differences, membersOf } from "./diff";

describe("what a change has changed", () => {
  it("is told by member, nested ones by their path", () => {
    expect(
      differences(
        { name: "a", caps: { rpm: 1, tpm: 2 }, tags: ["x"] },
        { name: "b", caps: { rpm: 1, tpm: 3 }, tags: ["x"] },
      ),
    ).toEqual([
      { name: "caps.tpm", before: "2", after: "3" },
      { name: "name", before: "a", after: "b" },
    ]);
  });
  it("has one side only for what was made or deleted", () => {
    expect(differences(null, { name: "a" })).toEqual([{ name: "name", before: undefined, after: "a" }]);
    expect(differences({ name: "a" }, null)).toEqual([{ name: "name", before: "a", after: undefined }]);
  });
  it("tells an empty list from a missing one", () => {
    expect(differences({ models: [] }, { models: {} })).toEqual([{ name: "models", before: "[]", after: "{}" }]);
  });
  it("reads details that are an object", () => {
    expect([membersOf('{"bulk":true}'), membersOf("[1]"), membersOf("words")]).toEqual([
      { bulk: true },
      undefined,
      undefined,
    ]);
  });
});
