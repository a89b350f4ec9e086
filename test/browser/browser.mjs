// What every story needs: a browser that watches what a page does, signing in,
// and the look at a screen's accessibility.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

/** How long anything may take, in milliseconds: to wait in vain costs this, a slow machine nothing. */
export const patience = 30_000;
export const base = required("HALLEY_BASE_URL");
export const password = required("HALLEY_PASSWORD");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

let browser;

/** The one browser of this process. */
export async function start() {
  browser = await chromium.launch({
    executablePath: required("HALLEY_CHROMIUM"),
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

export async function stop() {
  await browser?.close();
}

/**
 * A page in a browser of its own that notes what must not happen: script errors,
 * breaches of the page's policy, requests to elsewhere. quiet() fails on them.
 * Of other sites only that one counts as visited on purpose.
 */
export async function open({ width = 1440, height = 900, scheme = "light", locale = "en-US", cookies, elsewhere } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale, timezoneId: "Europe/Berlin", reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  if (cookies) await context.addCookies(cookies);
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const faults = [];
  const underway = new Set();
  page.on("request", (request) => underway.add(request));
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => underway.delete(request));
  page.on("pageerror", (error) => faults.push(`script error: ${error.message}`));
  page.on("console", (message) => {
    // A browser reports each answer that is an error; the stories look at those themselves.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    const here = [base, "blob:", "data:", elsewhere].some((start) => start && url.startsWith(start));
    if (!here) faults.push(`request to elsewhere: ${url}`);
  });
  return {
    page,
    context,
    quiet: () => assert.deepEqual(faults.splice(0), []),
    settled: () => settled(page, underway),
    close: () => context.close(),
  };
}

/**
 * Waits until a page has become what it will be: nothing is asked for, nothing
 * says that it is loading or moves, and that is still so two frames later, when
 * what came has been drawn.
 */
async function settled(page, underway) {
  const deadline = Date.now() + patience;
  for (let calm = 0; calm < 2; ) {
    assert.ok(Date.now() < deadline, `the page does not come to rest: ${[...underway].map((request) => request.url()).join(" ")}`);
    const still = await page.evaluate(async () => {
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
      const waiting = document.querySelector("[aria-busy=true], [data-loading], .animate-pulse");
      const moving = document.getAnimations().some((animation) => animation.playState === "running");
      return document.body.innerText.trim() !== "" && !waiting && !moving;
    });
    calm = still && underway.size === 0 ? calm + 1 : 0;
  }
}

/** Signs in with the form that the page shows. */
export async function signIn(page, username = "root", secret = password) {
  await page.locator("input[name=username]").fill(username);
  await page.locator("input[name=password]").fill(secret);
  await page.locator("form button[type=submit]").click();
  await page.locator("nav").first().waitFor({ state: "attached" });
}

/** The cookies of a new session, to begin pages with. */
export async function sessionOf(username = "root", secret = password) {
  const response = await fetch(`${base}/api/user/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password: secret }),
  });
  assert.equal(response.status, 200, `${username} signs in`);
  return response.headers.getSetCookie().map((cookie) => {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
    return { name, value, url: base };
  });
}

/** The management API with a session's cookies: `await call("GET", "/api/user/self")` is the whole answer. */
export function caller(cookies) {
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  return async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: { Cookie: cookie, ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, ...(await response.json()) };
  };
}

/** As caller, for what must not be refused: the data alone. */
export function management(cookies) {
  const call = caller(cookies);
  return async (method, path, body) => {
    const { success, message, data } = await call(method, path, body);
    assert.ok(success, `${method} ${path}: ${message}`);
    return data;
  };
}

/** Asks again until the answer is one: what the server tells may come a moment late. */
export async function until(what, get) {
  const end = performance.now() + patience;
  for (;;) {
    const found = await get();
    if (found) return found;
    assert.ok(performance.now() < end, `${what} does not come`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Drags something with the mouse. Where Chromium does not say that a drag has begun,
 * as 148 without a window does not, Playwright would wait for it for ever.
 */
export async function dragged(byMouse) {
  const late = Symbol();
  const end = await Promise.race([byMouse(), new Promise((resolve) => setTimeout(resolve, patience, late).unref())]);
  assert.notEqual(end, late, "this Chromium does not say that a drag has begun");
}

/** Fails on serious and critical findings of axe. */
export async function accessible(page, where) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary?.split("\n")[1]?.trim() ?? ""}`).join("; ")}`);
  assert.deepEqual(grave, [], where);
}

/** A model request with a key, as a program would make it: its status, id and answer. */
export async function request(key, model, more = {}) {
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Tell me about comets." }], ...more }),
  });
  return { status: response.status, id: response.headers.get("X-Request-Id"), answer: await response.json() };
}

/** A model request's status. */
export async function ask(key, model = "demo-echo") {
  return (await request(key, model)).status;
}
