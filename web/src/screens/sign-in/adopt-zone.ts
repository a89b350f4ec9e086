import { api, data, type Schemas } from "@/api/client";
import { browserZone } from "@/format/zone";

/**
 * Gives an account without a time zone the browser's: the server sums days up
 * in the account's zone, and days on the page shall be the same. Signing in does
 * not fail for it.
 */
export async function adoptZone(user: Schemas["User"]): Promise<Schemas["User"]> {
  if (user.time_zone !== "") return user;
  try {
    return await data(api.PATCH("/api/user/self", { body: { time_zone: browserZone() } }));
  } catch {
    return user;
  }
}
