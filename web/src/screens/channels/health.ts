import type { Schemas } from "@/api/client";
import type { Condition } from "./search";

export type Health = Schemas["Health"];
export type State = Health["state"];

/** From well to out, as bad as each is. */
export const states: readonly State[] = [
  "closed",
  "slow-start",
  "suspected",
  "half-open",
  "cooling-down",
  "open",
  "out",
];

export function isWell(state: State): boolean {
  return state === "closed" || state === "slow-start";
}

export interface Summary {
  condition: Condition;
  /** The worst of the upstream keys and models; undefined when nothing is known. */
  worst: Health | undefined;
  ill: number;
  targets: number;
  /** Attempts of late. */
  succeeded: number;
  failed: number;
  /** The usual time to first byte, of the attempts of late; 0 when it is not known. */
  firstByteMs: number;
}

/** What can be said of a channel in one line. */
export function summarize(channel: { status: 1 | 2; health: readonly Health[] }): Summary {
  let worst: Health | undefined;
  let ill = 0;
  let succeeded = 0;
  let failed = 0;
  let weighed = 0;
  let weight = 0;
  for (const target of channel.health) {
    if (!worst || states.indexOf(target.state) > states.indexOf(worst.state)) worst = target;
    if (!isWell(target.state)) ill++;
    if (target.model !== "") {
      // Those of a key as a whole count the same attempts again.
      succeeded += target.succeeded;
      failed += target.failed;
    }
    if (target.first_byte_ms > 0) {
      const attempts = Math.max(1, target.succeeded);
      weighed += target.first_byte_ms * attempts;
      weight += attempts;
    }
  }
  const condition: Condition =
    channel.status === 2
      ? "disabled"
      : !worst
        ? "unused"
        : ill === 0
          ? failed > 0 && succeeded === 0
            ? "impaired" // too few attempts for a breaker, but none was good
            : "well"
          : allIll(channel.health)
            ? "broken"
            : "impaired";
  return {
    condition,
    worst: worst && !isWell(worst.state) ? worst : undefined,
    ill,
    targets: channel.health.length,
    succeeded,
    failed,
    firstByteMs: weight > 0 ? weighed / weight : 0,
  };
}

/** Whether every upstream key is ill as a whole, or every model that was asked for. */
function allIll(health: readonly Health[]): boolean {
  const keys = health.filter((target) => target.model === "");
  const models = health.filter((target) => target.model !== "");
  return [keys, models].some((some) => some.length > 0 && some.every((target) => !isWell(target.state)));
}
