// Every screen in both themes, widths and languages: axe finds nothing grave,
// nothing sticks out at the side, no message is missing. With
// HALLEY_SCREENSHOTS each is kept as a picture, in four looks that have every
// theme with every width and every language once; HALLEY_LOOKS=all takes all eight.
//
// A screen is loaded once for each language, and what is done there is done once:
// in English at a desk, in Chinese on a phone. Theme and width are changed
// while it stands, as people change them.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, base, open, sessionOf, start, stop } from "./browser.mjs";
import { addressOf, screens } from "./screens.mjs";

const pictures = process.env.HALLEY_SCREENSHOTS;
const desk = { width: 1440, height: 900 };
const phone = { width: 375, height: 812 };
// The first look of a language is the one in which a screen is opened.
const languages = [
  { locale: "en-US", lang: "en", looks: [[desk, "light"], [phone, "dark"]], others: [[desk, "dark"], [phone, "light"]] },
  { locale: "zh-CN", lang: "zh-CN", looks: [[phone, "light"], [desk, "dark"]], others: [[phone, "dark"], [desk, "light"]] },
];

let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
  if (pictures) mkdirSync(pictures, { recursive: true });
});
after(stop);

for (const { locale, lang, looks, others } of languages) {
  test(`every screen, ${locale}`, async (t) => {
    const all = process.env.HALLEY_LOOKS === "all" ? [...looks, ...others] : looks;
    const [[size, scheme]] = all;
    const windows = { in: await open({ ...size, scheme, locale, cookies }), out: await open({ ...size, scheme, locale }) };
    for (const screen of screens) {
      await t.test(screen.name, async () => {
        const { page, quiet, settled } = screen.signedOut ? windows.out : windows.in;
        await look(page, size, scheme);
        await page.goto(await addressOf(page, base, screen));
        await settled();
        if (screen.act) {
          await screen.act(page);
          await settled();
        }
        assert.equal(await page.evaluate(() => document.documentElement.lang), lang);
        for (const [size, scheme] of all) {
          await look(page, size, scheme);
          await settled();
          await examine(page, `${screen.name}-${size.width}-${scheme}-${locale}`);
        }
        quiet();
      });
    }
    await windows.in.close();
    await windows.out.close();
  });
}

/** What must be so of a screen, however it is looked at. */
async function examine(page, name) {
  // What lies over the page stands where the window is.
  const fullPage = (await page.locator("[role=dialog], [role=menu]").count()) === 0;
  if (pictures && fullPage) await page.evaluate(() => window.scrollTo(0, 0));
  if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage });
  await accessible(page, name);
  const text = await page.locator("body").innerText();
  assert.doesNotMatch(text, /\{\{/, `${name}: a message lacks what belongs into it`); // a missing message is a script error
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(beyond <= 0, `${name}: the page is ${beyond} px too wide`);
}

async function look(page, size, colorScheme) {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme });
}

test("the first load stays below 250 KB", async () => {
  const { page, settled, close } = await open({ cookies });
  const sizes = [];
  page.on("requestfinished", async (request) => {
    if (new URL(request.url()).pathname.startsWith("/api/")) return;
    sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await page.goto(`${base}/keys`);
  await settled();
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.length > 4 && total > 50_000, "the files were counted");
  assert.ok(total < 250_000, `the keys page loads ${total} bytes`);
  await close();
});
