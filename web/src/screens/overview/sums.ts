import type { Schemas } from "@/api/client";

type Point = Schemas["UsagePoint"];

/** Sums over requests; the latency is the mean of those without an error. */
export interface Sums {
  usd: number;
  requests: number;
  errors: number;
  tokensIn: number;
  tokensOut: number;
  latency: number;
}

export function sumUp(points: readonly Point[]): Sums {
  const sums: Sums = { usd: 0, requests: 0, errors: 0, tokensIn: 0, tokensOut: 0, latency: 0 };
  let time = 0;
  for (const point of points) {
    sums.usd += point.usd;
    sums.requests += point.requests;
    sums.errors += point.errors;
    sums.tokensIn += point.tokens_in;
    sums.tokensOut += point.tokens_out;
    time += point.latency_ms * (point.requests - point.errors);
  }
  const good = sums.requests - sums.errors;
  sums.latency = good > 0 ? time / good : 0;
  return sums;
}

/** Where the bucket of an instant stands among the buckets' starts; -1 before the first. */
export function bucketAt(times: readonly number[], instant: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= instant) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The sums of each bucket. The server counts in whole hours of UTC: where clocks stand
 * half an hour off, the first of a day began before the day did, and counts for it.
 */
export function sumEach(points: readonly Point[], times: readonly number[]): Sums[] {
  const parts: Point[][] = times.map(() => []);
  for (const point of points) parts[Math.max(0, bucketAt(times, point.time))]?.push(point);
  return parts.map(sumUp);
}

/** One model, key or user over the whole period. */
export interface Part extends Sums {
  id: number;
  /** What it is called; told apart by its id where others are called the same. */
  name: string;
  /** Spend in each bucket. */
  spend: number[];
}

/** The parts, what was spent most on first, then what was called most. */
export function partsOf(points: readonly Point[], times: readonly number[]): Part[] {
  const grouped = new Map<string, Point[]>();
  for (const point of points) {
    const key = `${point.id}/${point.name}`;
    grouped.set(key, [...(grouped.get(key) ?? []), point]);
  }
  const names = new Map<string, number>();
  for (const own of grouped.values()) {
    const name = own[0]?.name ?? "";
    names.set(name, (names.get(name) ?? 0) + 1);
  }
  const parts = [...grouped.values()].map((own): Part => {
    const { id = 0, name = "" } = own[0] ?? {};
    return {
      ...sumUp(own),
      id,
      name: (names.get(name) ?? 0) > 1 ? `${name} #${id}` : name,
      spend: sumEach(own, times).map((sums) => sums.usd),
    };
  });
  return parts.sort((a, b) => b.usd - a.usd || b.requests - a.requests || a.name.localeCompare(b.name));
}

/** Series for a chart: the largest parts, and the rest as one. Parts that cost nothing are left out. */
export function stackOf(parts: readonly Part[], most: number, rest: string) {
  const spent = parts.filter((part) => part.usd > 0);
  const shown = spent.length > most ? spent.slice(0, most - 1) : spent;
  const others = spent.slice(shown.length);
  const series = shown.map((part) => ({ label: part.name, values: part.spend }));
  if (others.length === 0) return series;
  const values = (others[0]?.spend ?? []).map((_, i) => others.reduce((sum, part) => sum + (part.spend[i] ?? 0), 0));
  return [...series, { label: rest, values }];
}
