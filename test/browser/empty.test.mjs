// A server on which nothing has been made: every screen says so, and what to do
// about it. With HALLEY_SCREENSHOTS each is kept as a picture.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { base, open, sessionOf, start, stop } from "./browser.mjs";
import { addressOf, screens } from "./screens.mjs";

const pictures = process.env.HALLEY_SCREENSHOTS;
/** Screens that are a list of what people make. */
const lists = ["keys", "usage", "models", "channels", "channels-order", "price-history", "settings-tokens", "settings-security"];

let window;
before(async () => {
  await start();
  window = await open({ cookies: await sessionOf() });
  if (pictures) mkdirSync(pictures, { recursive: true });
});
after(stop);

test("every screen of a new server", async (t) => {
  const { page, settled, quiet } = window;
  for (const screen of screens.filter((screen) => !screen.act && !screen.signedOut)) {
    await t.test(screen.name, async () => {
      await page.goto(await addressOf(page, base, screen));
      await settled();
      assert.notEqual(await page.locator("main").innerText(), "");
      const empty = page.locator("[data-empty]");
      if (lists.includes(screen.name)) assert.ok((await empty.count()) > 0, "the list says that it is empty");
      for (const one of await empty.all()) {
        const said = (await one.innerText()).split("\n").filter(Boolean);
        assert.ok(said.length > 1, `only "${said}" is said, and not what to do`);
      }
      if (pictures) {
        for (const [width, height, colorScheme] of [
          [1440, 900, "light"],
          [375, 812, "dark"],
        ]) {
          await page.setViewportSize({ width, height });
          await page.emulateMedia({ colorScheme });
          await page.screenshot({ path: join(pictures, `${screen.name}-new-${width}-${colorScheme}.png`) });
        }
        await page.setViewportSize({ width: 1440, height: 900 });
      }
      quiet();
    });
  }
});
