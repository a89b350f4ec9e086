// Every screen in both themes, widths and languages: axe finds nothing grave,
// nothing sticks out at the side, no message is missing. With
// HALLEY_SCREENSHOTS each is kept as a picture.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, base, open, sessionOf, start, stop } from "./browser.mjs";
import { screens } from "./screens.mjs";

const pictures = process.env.HALLEY_SCREENSHOTS;
const looks = [
  { width: 1440, height: 900, scheme: "light", locale: "en-US" },
  { width: 1440, height: 900, scheme: "dark", locale: "zh-CN" },
  { width: 375, height: 812, scheme: "light", locale: "zh-CN" },
  { width: 375, height: 812, scheme: "dark", locale: "en-US" },
];

let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
  if (pictures) mkdirSync(pictures, { recursive: true });
});
after(stop);

for (const look of looks) {
  const { width, scheme, locale } = look;
  test(`every screen at ${width} px, ${scheme}, ${locale}`, async (t) => {
    for (const screen of screens) {
      await t.test(screen.name, async () => {
        const { page, quiet, close } = await open({ ...look, ...(screen.signedOut ? {} : { cookies }) });
        await page.goto(base + screen.path);
        await page.waitForLoadState("networkidle");
        if (screen.act) {
          await screen.act(page);
          await page.waitForTimeout(300);
        }
        await accessible(page, `${screen.name} at ${width} px, ${scheme}`);
        const text = await page.locator("body").innerText();
        assert.doesNotMatch(text, /\{\{/, "a message lacks what belongs into it"); // a missing message is a script error
        assert.equal(await page.evaluate(() => document.documentElement.lang), locale === "zh-CN" ? "zh-CN" : "en");
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(beyond <= 0, `the page is ${beyond} px too wide`);
        if (pictures) await page.screenshot({ path: join(pictures, `${screen.name}-${width}-${scheme}-${locale}.png`), fullPage: !screen.act });
        quiet();
        await close();
      });
    }
  });
}

test("the first load stays below 250 KB", async () => {
  const { page, close } = await open({ cookies });
  const sizes = [];
  page.on("requestfinished", async (request) => {
    if (new URL(request.url()).pathname.startsWith("/api/")) return;
    sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await page.goto(`${base}/keys`);
  await page.waitForLoadState("networkidle");
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.length > 4 && total > 50_000, "the files were counted");
  assert.ok(total < 250_000, `the keys page loads ${total} bytes`);
  await close();
});
