// What every screen shows when things do not go well: the server refuses, it does
// not answer, the network is gone. With HALLEY_SCREENSHOTS each is kept as a
// picture.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { base, open, patience, sessionOf, start, stop } from "./browser.mjs";
import { addressOf, screens } from "./screens.mjs";

const message = "The table of everything is locked.";
const requestId = "01m8kstatesyh08375fqwyb6ym";
// Who is signed in and what this server is are known by then: without them there is no console.
const known = /\/api\/(user\/self|status)$/;
const addresses = screens.filter((screen) => !screen.act && !screen.signedOut && screen.name !== "not-found");
/** Screens that stand without what the server tells: it only fills their lists of suggestions. */
const standing = new Set(["settings", "playground"]);

const pictures = process.env.HALLEY_SCREENSHOTS;
let window;
before(async () => {
  await start();
  window = await open({ cookies: await sessionOf() });
  if (pictures) mkdirSync(pictures, { recursive: true });
});
after(stop);

async function picture(name) {
  if (!pictures) return;
  for (const [width, height, colorScheme] of [
    [1440, 900, "light"],
    [375, 812, "dark"],
  ]) {
    await window.page.setViewportSize({ width, height });
    await window.page.emulateMedia({ colorScheme });
    await new Promise((drawn) => setTimeout(drawn, 200)); // colours change in a moment; nothing is checked by this
    await window.page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`) });
  }
  await window.page.setViewportSize({ width: 1440, height: 900 });
}

/** Has every call of the API, but those for what is known, go this way. */
async function api(page, handler, also = () => false) {
  await page.route(/\/api\//, (route) => {
    const path = new URL(route.request().url()).pathname;
    return known.test(path) && !also(path) ? route.fallback() : handler(route);
  });
  return () => page.unroute(/\/api\//);
}

const refuse = (route) =>
  route.fulfill({
    status: 500,
    headers: { "Content-Type": "application/json", "X-Request-Id": requestId },
    body: JSON.stringify({ success: false, code: "internal", message }),
  });

/** What says that something went wrong, and the button beside it. */
const problems = (page) => page.getByRole("alert").filter({ hasText: message });
const retries = (page) => problems(page).getByRole("button", { name: "Try again" });

test("a screen whose data the server refuses says why, which request it was, and tries again", async (t) => {
  const { page, settled, quiet } = window;
  await page.clock.install(); // a failed call is made again after a second, and then after two
  for (const screen of addresses) {
    await t.test(screen.name, async () => {
      const mend = await api(page, refuse);
      await page.goto(await addressOf(page, base, screen));
      if (standing.has(screen.name)) {
        await settled();
        assert.notEqual(await page.locator("main").innerText(), "", "the screen stands");
      } else {
        await eventually(page, problems(page));
        assert.match(await problems(page).first().innerText(), new RegExp(requestId), "the request's id is told");
        await page.clock.fastForward(10_000);
        await page.locator("[data-loading]").first().waitFor({ state: "detached" });
        await picture(`${screen.name}-refused`);
        await mend();
        // One part may be seen to have failed only when another is there, and what asks
        // again by itself may take its button away at any moment: a channel's page then
        // has neither buttons nor what its spending will say. So it is over when, in one
        // breath, nothing can be pressed and nothing is waited for.
        for (let tries = 0; tries < 10; tries++) {
          await settled();
          const over = await retries(page).evaluateAll(([button]) => {
            button?.click();
            return !button && !document.querySelector("[data-loading], [aria-busy=true]");
          });
          if (over) break;
          await page.clock.fastForward(10_000);
        }
      }
      await mend();
      await settled();
      assert.equal(await problems(page).count(), 0, "trying again mends it all");
      quiet();
    });
  }
});

/** Waits until something is there, and makes the page's own waits short. */
async function eventually(page, locator) {
  for (const end = performance.now() + patience; performance.now() < end; ) {
    if (await locator.first().isVisible()) return;
    await page.clock.fastForward(1000);
    await new Promise((later) => setTimeout(later, 50));
  }
  assert.fail(`not there: ${await page.locator("body").innerText()}`);
}

test("a screen that waits for the server says so", async (t) => {
  const { page, quiet } = window;
  for (const screen of addresses) {
    await t.test(screen.name, async () => {
      const mend = await api(page, () => undefined);
      await page.goto(await addressOf(page, base, screen));
      const main = page.locator("main");
      if (standing.has(screen.name)) await main.getByRole("heading").first().waitFor();
      else await main.locator("[data-loading], [aria-busy=true]").first().waitFor();
      await picture(`${screen.name}-waits`);
      await mend();
      quiet();
    });
  }
});

test("a screen that has lost the network keeps what it shows and says so", async (t) => {
  const { page, context, settled, quiet } = window;
  for (const screen of addresses) {
    await t.test(screen.name, async () => {
      await page.goto(await addressOf(page, base, screen));
      await settled();
      const note = page.locator("[role=status]").filter({ hasText: "Offline" }); // also behind a panel
      assert.equal(await note.count(), 0);
      const shown = await page.locator("main").innerText();
      await context.setOffline(true);
      try {
        await note.waitFor();
        assert.equal(await page.locator("main").innerText(), shown);
        await picture(`${screen.name}-offline`);
      } finally {
        await context.setOffline(false);
      }
      await note.waitFor({ state: "detached" });
      quiet();
    });
  }
});

test("a screen opened without network says that, and opens when it is back", async () => {
  const { page, context, settled, close } = await open({ cookies: await sessionOf() });
  await page.goto(`${base}/keys`);
  await settled();
  await context.setOffline(true);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Groups" }).click();
  const problem = page.getByRole("alert").filter({ hasText: "cannot be reached" });
  await problem.waitFor();
  await picture("opened-offline");
  await context.setOffline(false);
  await problem.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("link", { name: "default" }).waitFor();
  await close();
});

test("without knowing who is there the console says why it cannot begin, and begins when it can", async () => {
  const { page, settled, close } = await open({ cookies: await sessionOf() });
  const mend = await api(page, refuse, () => true);
  await page.clock.install();
  await page.goto(`${base}/keys`);
  await eventually(page, problems(page));
  assert.match(await problems(page).first().innerText(), new RegExp(requestId));
  await mend();
  await retries(page).first().click();
  await settled();
  await page.getByRole("heading", { name: "API keys" }).waitFor();
  await close(); // React has noted on the console what it caught
});
