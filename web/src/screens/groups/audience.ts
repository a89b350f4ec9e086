import type { Schemas } from "@/api/client";

/** Who may use a group, as it is chosen. */
export interface Audience {
  all: boolean;
  groups: string[];
  users: string[];
}

export function audienceOf(by: Schemas["Group"]["usable_by"]): Audience {
  if (by === "all") return { all: true, groups: [], users: [] };
  if (Array.isArray(by)) return { all: false, groups: by, users: [] };
  return { all: false, groups: by.groups ?? [], users: (by.users ?? []).map(String) };
}

export function usableBy({ all, groups, users }: Audience): Schemas["Group"]["usable_by"] {
  if (all) return "all";
  return users.length === 0 ? groups : { groups, users: users.map(Number) };
}
