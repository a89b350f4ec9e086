/** A channel as far as its place is concerned. */
export interface Placed {
  id: number;
  priority: number;
}

/** A step of the order: its channels share the requests. */
export interface Tier {
  /** Undefined for a new one, whose number is yet to be found. */
  priority: number | undefined;
  ids: readonly number[];
}

/** The steps, the first to be tried at the top. */
export function tiersOf(channels: readonly Placed[]): Tier[] {
  const byPriority = new Map<number, number[]>();
  for (const { id, priority } of channels) byPriority.set(priority, [...(byPriority.get(priority) ?? []), id]);
  return [...byPriority].sort(([a], [b]) => b - a).map(([priority, ids]) => ({ priority, ids }));
}

/** Where a channel is put: into a step, or into a new one before that step. */
export interface Place {
  at: number;
  fresh: boolean;
}

/** The steps after a channel has been put elsewhere; empty ones go. */
export function moved(tiers: readonly Tier[], id: number, to: Place): Tier[] {
  const next: Tier[] = tiers.map((tier) => ({ ...tier, ids: tier.ids.filter((one) => one !== id) }));
  if (to.fresh) {
    next.splice(to.at, 0, { priority: undefined, ids: [id] });
  } else {
    const tier = next[to.at];
    if (tier) next[to.at] = { ...tier, ids: [...tier.ids, id] };
  }
  return next.filter((tier) => tier.ids.length > 0);
}

/** The place that is one step up or down: out of a shared step first, then into the next. */
export function beside(tiers: readonly Tier[], id: number, step: -1 | 1): Place | undefined {
  const at = tiers.findIndex((tier) => tier.ids.includes(id));
  const tier = tiers[at];
  if (!tier) return undefined;
  if (tier.ids.length > 1) return { at: step < 0 ? at : at + 1, fresh: true };
  const next = at + step;
  return tiers[next] ? { at: next, fresh: false } : undefined;
}

/** The distance between two steps whose numbers are made up. */
const gap = 10;

/**
 * The priorities that make the steps so, with as few changes as need be: a step
 * keeps its number as long as it is above the one below it.
 */
export function priorities(tiers: readonly Tier[]): Map<number, number> {
  const numbers: number[] = [];
  let below: number | undefined;
  for (let i = tiers.length - 1; i >= 0; i--) {
    const own = tiers[i]?.priority;
    let number: number;
    if (own !== undefined && (below === undefined || own > below)) {
      number = own;
    } else {
      const above = tiers
        .slice(0, i)
        .reverse()
        .find((tier) => tier.priority !== undefined && (below === undefined || tier.priority > below))?.priority;
      if (below === undefined) number = above === undefined ? 0 : above - gap;
      else if (above !== undefined && above - below > 1) number = below + Math.floor((above - below) / 2);
      else number = above === undefined ? below + gap : below + 1;
    }
    numbers[i] = number;
    below = number;
  }
  const found = new Map<number, number>();
  tiers.forEach((tier, i) => {
    for (const id of tier.ids) found.set(id, numbers[i] ?? 0);
  });
  return found;
}
