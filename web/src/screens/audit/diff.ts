/** One member that a change has changed. */
export interface Difference {
  name: string;
  before: string | undefined;
  after: string | undefined;
}

type Members = Record<string, unknown> | null;

/** The members that differ, nested ones by their path. */
export function differences(before: Members, after: Members): Difference[] {
  const [from, to] = [flat(before), flat(after)];
  const names = [...new Set([...from.keys(), ...to.keys()])].sort();
  return names
    .map((name) => ({ name, before: from.get(name), after: to.get(name) }))
    .filter((one) => one.before !== one.after);
}

function flat(value: unknown, path = "", into = new Map<string, string>()): Map<string, string> {
  if (value === null && path === "") return into;
  if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    for (const [name, member] of Object.entries(value)) flat(member, path ? `${path}.${name}` : name, into);
  } else {
    into.set(path, typeof value === "string" ? value : JSON.stringify(value));
  }
  return into;
}

/** What was asked for, as pairs; undefined when it is no object. */
export function membersOf(detail: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(detail);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
