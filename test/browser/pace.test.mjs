// The keys page with 100,000 keys: how soon its rows are there, and how much is
// asked of the server for them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { base, open, sessionOf, start, stop } from "./browser.mjs";

// Milliseconds from the start of the navigation to the frame with the first rows.
const bound = 1000;
const bench = Boolean(process.env.HALLEY_BENCH);
const runs = bench ? 5 : 1;

let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
});
after(stop);

/** Opens a page with nothing cached; gives when its first row was drawn, and what the API was asked. */
async function load(path) {
  const { page, quiet, close } = await open({ cookies });
  await page.addInitScript(() => {
    window.firstRow = new Promise((resolve) => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector("tbody tr a")) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))); // after the frame is drawn
      }).observe(document, { childList: true, subtree: true });
    });
  });
  const asked = [];
  page.on("requestfinished", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith("/api/")) return;
    asked.push(request.sizes().then(({ responseBodySize }) => ({ pathname, bytes: responseBodySize })));
  });
  await page.goto(base + path);
  const ms = await page.evaluate(() => window.firstRow);
  await page.waitForLoadState("networkidle");
  const answers = await Promise.all(asked);
  assert.equal(await page.getByRole("row").getByRole("link").count(), 20);
  await page.getByText("100,021", { exact: false }).first().waitFor();
  quiet();
  await close();
  return { ms, answers };
}

for (const path of ["/keys", "/keys?sort=-name"]) {
  test(`${path} with 100,000 keys`, async (t) => {
    const loads = [];
    for (let i = 0; i < runs; i++) loads.push(await load(path));
    const times = loads.map(({ ms }) => Math.round(ms)).toSorted((a, b) => a - b);
    const median = times[Math.floor(runs / 2)];
    for (const { answers } of loads) {
      const lists = answers.filter(({ pathname }) => pathname === "/api/token/");
      assert.equal(lists.length, 1, "the list is asked for once");
      assert.ok(answers.length <= 8, `${answers.length} requests: ${answers.map(({ pathname }) => pathname).join(" ")}`);
      const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0);
      assert.ok(bytes > 0 && bytes < 30_000, `the API gives ${bytes} bytes`);
    }
    const [{ answers }] = loads;
    t.diagnostic(`first rows after ${times.join(", ")} ms, median ${median}; ${answers.length} requests, ${answers.reduce((sum, { bytes }) => sum + bytes, 0)} bytes`);
    if (bench) assert.ok(median < bound, `the first rows take ${median} ms`);
  });
}
