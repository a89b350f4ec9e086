import { addDays, dateOf, instantOf } from "@/format/zone";

export const presets = ["7", "30", "90", "365", "date", "never"] as const;
export type Preset = (typeof presets)[number];

/**
 * When a token ends, in Unix seconds; -1 is never, undefined when no date to
 * come is chosen. A date counts to its end, in the viewer's zone.
 */
export function expiresAt(preset: Preset, date: string, now: number, zone: string): number | undefined {
  if (preset === "never") return -1;
  if (preset !== "date") return now + Number(preset) * 86_400;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) return undefined;
  const end = instantOf(addDays(date, 1), zone);
  return end > now ? end : undefined;
}

/** The first date that may be chosen. */
export function today(now: number, zone: string): string {
  return dateOf(now, zone);
}
