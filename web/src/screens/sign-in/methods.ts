import type { Schemas } from "@/api/client";

export type Method = Schemas["SecondFactorChoice"]["methods"][number];

const order: readonly Method[] = ["passkey", "totp", "recovery_code"];

/** The second factors that can be shown here, the most convenient first. */
export function methodsFor(choice: Schemas["SecondFactorChoice"], passkeys: boolean): Method[] {
  return order.filter(
    (method) => choice.methods.includes(method) && (method !== "passkey" || (passkeys && choice.passkey)),
  );
}
