import type { Schemas } from "@/api/client";

/** An identity provider to sign in at. */
export type LoginProvider = Schemas["LoginButton"];

/** The address that sends the browser to a provider, and afterwards where the viewer wanted to go. */
export function visitOf(provider: LoginProvider, from: string | undefined): string {
  return from ? `${provider.url}?return_to=${encodeURIComponent(from)}` : provider.url;
}

const refusals = [
  "identity_unknown",
  "identity_taken",
  "username_taken",
  "provider_refused",
  "provider_unreachable",
  "provider_disabled",
  "provider_not_found",
  "account_disabled",
] as const;

/** Which message tells why signing in at a provider did not work. */
export function refusalOf(code: string): (typeof refusals)[number] | "other" {
  return refusals.find((one) => one === code) ?? "other";
}
