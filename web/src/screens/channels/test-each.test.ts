import { expect, test } from "vitest";
import { type Outcome, testEach } from "./test-each";

const result = (ok: boolean) => ({
  ok,
  status: ok ? 200 : 401,
  latency_ms: 5,
  first_byte_ms: 2,
  message: "",
  answer: "",
});

test("a few are tested at a time, and each is told of", async () => {
  let now = 0;
  let most = 0;
  const told = new Map<number, Outcome["state"][]>();
  await testEach(
    [1, 2, 3, 4, 5, 6, 7],
    async (id) => {
      most = Math.max(most, ++now);
      await Promise.resolve();
      now--;
      if (id === 3) throw new Error("refused");
      return result(id !== 2);
    },
    new AbortController().signal,
    (id, { state }) => told.set(id, [...(told.get(id) ?? []), state]),
  );
  expect(most).toBe(3);
  expect(told.get(1)).toEqual(["running", "ok"]);
  expect(told.get(2)).toEqual(["running", "failed"]);
  expect(told.get(3)).toEqual(["running", "failed"]);
  expect([...told.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

test("what has not ended when it is called off is cancelled, and no more is sent", async () => {
  const controller = new AbortController();
  const sent: number[] = [];
  const last = new Map<number, Outcome["state"]>();
  await testEach(
    [1, 2, 3, 4, 5],
    (id) => {
      sent.push(id);
      if (id === 1) return Promise.resolve(result(true));
      return new Promise((_, reject) => {
        controller.signal.addEventListener("abort", () => reject(controller.signal.reason));
        if (id === 4) controller.abort();
      });
    },
    controller.signal,
    (id, { state }) => last.set(id, state),
  );
  expect(sent).toEqual([1, 2, 3, 4]);
  expect(Object.fromEntries(last)).toEqual({ 1: "ok", 2: "cancelled", 3: "cancelled", 4: "cancelled", 5: "cancelled" });
});
