import type { Schemas } from "@/api/client";

/** How the test of one among several channels is going, or went. */
export type Outcome =
  | { state: "waiting" | "running" | "cancelled" }
  | { state: "ok" | "failed"; result: Schemas["ChannelTest"] }
  | { state: "failed"; error: unknown };

/** As many at once as do not burden a small server. */
const atOnce = 3;

/**
 * Tests channels, a few at a time, and tells how each is going. What has not
 * ended when the signal is given is told as cancelled.
 */
export async function testEach(
  ids: readonly number[],
  test: (id: number) => Promise<Schemas["ChannelTest"]>,
  signal: AbortSignal,
  tell: (id: number, outcome: Outcome) => void,
): Promise<void> {
  const waiting = [...ids];
  const worker = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      if (signal.aborted) {
        tell(id, { state: "cancelled" });
        continue;
      }
      tell(id, { state: "running" });
      try {
        const result = await test(id);
        tell(id, { state: result.ok ? "ok" : "failed", result });
      } catch (error) {
        tell(id, signal.aborted ? { state: "cancelled" } : { state: "failed", error });
      }
    }
  };
  await Promise.all(ids.slice(0, atOnce).map(worker));
}
