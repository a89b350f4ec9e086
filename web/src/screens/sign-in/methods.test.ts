import { expect, it } from "vitest";
import { methodsFor } from "./methods";

const passkey = { state: "s", options: {} };

it("offers what the account takes, a passkey first and a recovery code last", () => {
  expect(methodsFor({ methods: ["recovery_code", "totp", "passkey"], passkey }, true)).toEqual([
    "passkey",
    "totp",
    "recovery_code",
  ]);
  expect(methodsFor({ methods: ["totp"] }, true)).toEqual(["totp"]);
});

it("offers no passkey where the browser or the address has none", () => {
  expect(methodsFor({ methods: ["passkey", "recovery_code"], passkey }, false)).toEqual(["recovery_code"]);
  expect(methodsFor({ methods: ["passkey", "recovery_code"] }, true)).toEqual(["recovery_code"]);
});
