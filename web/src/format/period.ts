import { addDays, dateOf, instantOf } from "./zone";

/** A period as it stands in the address: a preset, or two dates with both ends counted. */
export type Period = { preset: Preset } | { from: string; to: string };

export const presets = ["24h", "7d", "30d", "90d", "month", "last-month"] as const;
export type Preset = (typeof presets)[number];

/** Unix seconds: from is counted, to is not; and the buckets that suit the length. */
export interface Range {
  from: number;
  to: number;
  bucket: "hour" | "day";
}

/** The first date that a period can begin with. */
export const firstDate = "2000-01-01";
const mostDays = 3660;

/** Whether two dates are days of the calendar, in their order, and so few that all can be drawn. */
function isSpan(from: string, to: string): boolean {
  const day = /^\d{4}-\d{2}-\d{2}$/;
  const real = [from, to].every((date) => day.test(date) && new Date(date).toJSON()?.startsWith(date));
  return real && from >= firstDate && from <= to && to < addDays(from, mostDays);
}

/** Reads a period from the address; what is no period is the fallback. */
export function parsePeriod(text: unknown, fallback: Preset = "7d"): Period {
  if (typeof text !== "string") return { preset: fallback };
  if ((presets as readonly string[]).includes(text)) return { preset: text as Preset };
  const [from = "", to = ""] = text.split("..");
  return isSpan(from, to) ? { from, to } : { preset: fallback };
}

/** Writes a period for the address. */
export function periodText(period: Period): string {
  return "preset" in period ? period.preset : `${period.from}..${period.to}`;
}

/** The instants of a period in the viewer's zone. Days begin at midnight there. */
export function rangeOf(period: Period, now: number, zone: string): Range {
  const today = dateOf(now, zone);
  const end = instantOf(addDays(today, 1), zone);
  if (!("preset" in period)) {
    const from = instantOf(period.from, zone);
    const to = instantOf(addDays(period.to, 1), zone);
    return { from, to, bucket: to - from <= 2 * 86_400 + 3600 ? "hour" : "day" };
  }
  const first = `${today.slice(0, 8)}01`;
  switch (period.preset) {
    case "24h": {
      const hour = Math.floor(now / 3600) * 3600 + 3600;
      return { from: hour - 86_400, to: hour, bucket: "hour" };
    }
    case "7d":
      return { from: instantOf(addDays(today, -6), zone), to: end, bucket: "day" };
    case "30d":
      return { from: instantOf(addDays(today, -29), zone), to: end, bucket: "day" };
    case "90d":
      return { from: instantOf(addDays(today, -89), zone), to: end, bucket: "day" };
    case "month":
      return { from: instantOf(first, zone), to: end, bucket: "day" };
    case "last-month": {
      const before = `${addDays(first, -1).slice(0, 8)}01`;
      return { from: instantOf(before, zone), to: instantOf(first, zone), bucket: "day" };
    }
  }
}

/** The period of the same length that came before. */
export function rangeBefore(range: Range): Range {
  return { from: range.from - (range.to - range.from), to: range.from, bucket: range.bucket };
}

/** The starts of every bucket of a range, in Unix seconds. */
export function bucketsOf(range: Range, zone: string): number[] {
  const starts: number[] = [];
  if (range.bucket === "hour") {
    for (let at = range.from; at < range.to; at += 3600) starts.push(at);
    return starts;
  }
  for (let day = dateOf(range.from, zone); instantOf(day, zone) < range.to; day = addDays(day, 1)) {
    starts.push(instantOf(day, zone));
  }
  return starts;
}
