import { expect, it } from "vitest";
import { refusalOf, visitOf } from "./providers";

const corp = { name: "corp", label: "Corp", url: "/api/user/oidc/corp/begin" };

it("says where to come back to", () => {
  expect(visitOf(corp, undefined)).toBe("/api/user/oidc/corp/begin");
  expect(visitOf(corp, "/keys?page=2&q=a b")).toBe(
    "/api/user/oidc/corp/begin?return_to=%2Fkeys%3Fpage%3D2%26q%3Da%20b",
  );
});

it("has words for refusals that it does not know, too", () => {
  expect(refusalOf("identity_unknown")).toBe("identity_unknown");
  expect(refusalOf("something_new")).toBe("other");
});
