// What somebody who is no administrator cannot reach: pages, the API behind them,
// and what belongs to others. Pages are those of the console's router, calls those
// of the API's own document, so that none can be forgotten here.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { ask, base, caller, management, open, sessionOf, start, stop, until } from "./browser.mjs";

const web = new URL("../../web/src/", import.meta.url);
const methods = ["get", "post", "put", "patch", "delete"];

let root; // the API as root
let eve; // a user
let hers; // her cookies
let operations; // what the API's document has, with who may
before(async () => {
  await start();
  root = management(await sessionOf());
  eve = await root("POST", "/api/user/", { username: "eve", password: "eve likes comets", quota: 500_000 });
  hers = await sessionOf("eve", "eve likes comets");
  const { paths } = await (await fetch(`${base}/api/openapi.json`)).json();
  operations = Object.entries(paths).flatMap(([path, item]) =>
    methods
      .filter((method) => item[method])
      .map((method) => ({ method: method.toUpperCase(), path, who: /^For (administrators and root|root)\./.exec(item[method].description ?? "")?.[1] })),
  );
});
after(stop);

/** The console's pages for administrators, as its router has them. */
function adminPages() {
  const router = readFileSync(new URL("router.tsx", web), "utf8");
  const listed = /admin\.addChildren\(\[([^\]]*)\]\)/.exec(router)[1].split(",").map((name) => name.trim()).filter(Boolean);
  return listed.map((name) => {
    const route = new RegExp(`const ${name} = createRoute\\(\\{\\s*getParentRoute: \\(\\) => admin,\\s*path: "([^"]+)"`).exec(router);
    assert.ok(route, `the router's page ${name} is read`);
    return route[1].replaceAll(/\$\w+/g, "1");
  });
}

/** Whether a request is a call that only administrators may make. */
function isForAdmins(method, url) {
  const { pathname } = new URL(url);
  const asked = pathname.split("/");
  const fits = ({ path }) => {
    const parts = path.split("/");
    return parts.length === asked.length && parts.every((part, i) => part === asked[i] || (part.startsWith("{") && asked[i] !== ""));
  };
  // A path that is written out comes before one with a parameter.
  const found = operations.filter((one) => one.method === method && fits(one)).sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
  return found?.who !== undefined;
}

test("a user sees no way to administrators' pages, is told at their addresses, and nothing is asked for them", async () => {
  const pages = adminPages();
  assert.ok(pages.length >= 10, pages.join());
  const { page, quiet, close } = await open({ cookies: hers });
  const asked = [];
  page.on("request", (request) => {
    if (new URL(request.url()).pathname.startsWith("/api/") && isForAdmins(request.method(), request.url())) asked.push(`${request.method()} ${request.url()}`);
  });
  await page.goto(base);
  const nav = page.getByRole("navigation", { name: "Main" });
  await nav.getByRole("link", { name: "API keys" }).waitFor();
  const links = await nav.getByRole("link").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  for (const path of pages) assert.ok(!links.some((link) => link === path || link.startsWith(`${path}/`)), `the navigation leads to ${path}`);
  assert.equal(await page.getByText("Administration").count(), 0);
  for (const path of pages) {
    await page.goto(base + path);
    await page.getByText("For administrators", { exact: true }).waitFor();
  }
  await page.waitForLoadState("networkidle");
  assert.deepEqual(asked, []);
  quiet();
  await close();
});

test("every call for administrators is refused to a user, and root's calls to an administrator", async () => {
  const admins = operations.filter(({ who }) => who);
  assert.ok(admins.length > 40 && admins.some(({ who }) => who === "root"), "the document says who may");
  // Whatever the console calls is in the document, so that it is among these or open to all.
  const sources = readdirSync(web, { recursive: true }).filter((name) => /\.tsx?$/.test(name) && !/\.(test|gen)\./.test(name));
  const called = sources.flatMap((name) =>
    [...readFileSync(new URL(name, web), "utf8").matchAll(/api\s*\.(GET|POST|PUT|PATCH|DELETE)\(\s*"([^"]+)"/g)].map(([, method, path]) => `${method} ${path}`),
  );
  assert.ok(called.length > 60, `the console's calls are found: ${called.length}`);
  const known = new Set(operations.map(({ method, path }) => `${method} ${path}`));
  for (const one of called) assert.ok(known.has(one), `${one} is in the document`);

  const something = { model: "demo-echo", name: "default", id: eve.id, session: 1 };
  const forCall = ({ method, path }) => [method, path.replaceAll(/\{(\w+)\}/g, (_, name) => something[name]), method === "GET" ? undefined : {}];
  const user = caller(hers);
  for (const one of admins) {
    const { status, code } = await user(...forCall(one));
    assert.equal(status, 403, `${one.method} ${one.path}: ${code}`);
  }
  await root("POST", "/api/user/", { username: "adele", password: "adele likes comets", role: "admin" });
  const cookies = await sessionOf("adele", "adele likes comets");
  const admin = caller(cookies);
  for (const one of admins.filter(({ method, path }) => method === "GET" && !path.endsWith("/export"))) {
    const { status } = await admin(...forCall(one));
    if (one.who === "root") assert.equal(status, 403, one.path);
    else assert.notEqual(status, 403, one.path);
  }
  const { page, quiet, close } = await open({ cookies });
  await page.goto(base);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Channels", exact: true }).waitFor();
  assert.equal(await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Options", exact: true }).count(), 0);
  await page.goto(`${base}/options`);
  await page.getByRole("main").getByRole("alert").waitFor();
  quiet();
  await close();
});

test("nobody reaches another one's keys, requests, sessions, tokens or balance", async () => {
  const own = management(hers);
  const user = caller(hers);
  const mine = await root("POST", "/api/token/", { name: "Root's own", unlimited_quota: true });
  assert.equal(await ask(mine.key), 200);
  await until("root's request", async () => (await root("GET", `/api/log/?key_id=${mine.id}`)).items[0]);
  const pat = await root("POST", "/api/user/token", { name: "Root's", scope: "read" });
  const session = (await root("GET", "/api/user/session")).items.find(({ current }) => current);
  const account = await root("GET", "/api/user/self");
  const key = await root("GET", `/api/token/${mine.id}`);
  const values = await root("GET", `/api/token/${mine.id}/values`);
  const things = { token: mine.id, session: session.id, "user/token": pat.id };
  const bodies = { quota: { add: -1 }, verify: { model: "demo-echo" }, children: { name: "Hers" }, rotate: {} };

  // Whatever names one thing of one's own by its id.
  let tried = 0;
  for (const { method, path, who } of operations) {
    if (who || !path.includes("{id}")) continue;
    const kind = /^\/api\/(?:user\/)?(\w+)\/\{id\}/.exec(path)?.[1];
    const id = path.startsWith("/api/user/token/") ? things["user/token"] : (things[kind] ?? 1);
    const body = method === "GET" ? undefined : (bodies[path.split("/").at(-1)] ?? { name: "Hers" });
    const answer = await user(method, path.replace("{id}", id).replace("{value_id}", values.items?.[0]?.id ?? 1), body);
    assert.ok([403, 404].includes(answer.status), `${method} ${path}: ${answer.status} ${answer.message}`);
    tried++;
  }
  assert.ok(tried >= 10, `${tried} calls name something by its id`);
  assert.equal((await user("PUT", "/api/token/", { id: mine.id, name: "Hers now" })).status, 404);
  const batch = await user("POST", "/api/token/batch", { ids: [mine.id], action: "delete" });
  assert.ok(!batch.success || !JSON.stringify(batch.data).includes(`${mine.id}`), JSON.stringify(batch));
  assert.deepEqual(await root("GET", `/api/token/${mine.id}`), key, "nothing of it has changed");
  assert.equal((await root("GET", "/api/user/self")).id, account.id, "nor has the session ended");
  assert.equal((await fetch(`${base}/api/user/self`, { headers: { Authorization: pat.token ?? pat.key ?? pat.value } })).status, 200, "nor the token");

  for (const query of ["", `?key_id=${mine.id}`, "?user_id=1"]) {
    const { items } = await own("GET", `/api/log/self${query}`);
    assert.deepEqual(items, [], query);
  }
  const csv = await (await fetch(`${base}/api/log/self/export?format=csv`, { headers: { Cookie: hers.map(({ name, value }) => `${name}=${value}`).join("; ") } })).text();
  assert.equal(csv.trim().split("\n").length, 1, "an export has its head alone");
  await own("PATCH", "/api/user/self", { display_name: "Eve" });
  await user("PATCH", "/api/user/self", { role: "root", quota: 9e9, unlimited_quota: true });
  const self = await own("GET", "/api/user/self");
  assert.deepEqual([self.role, self.quota, self.unlimited_quota], ["user", 500_000, false]);

  // And in the console.
  const { page, quiet, close } = await open({ cookies: hers });
  await page.goto(`${base}/keys/${mine.id}`);
  await page.getByRole("main").getByRole("alert").waitFor();
  assert.equal(await page.getByText("Root's own").count(), 0);
  await page.goto(`${base}/usage?who=all&user=1&period=90d`);
  await page.getByText("No request").first().waitFor();
  assert.equal(await page.getByRole("radio", { name: "Everybody" }).count(), 0);
  await page.goto(`${base}/?who=all`);
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await page.waitForLoadState("networkidle");
  assert.equal(await page.getByText("demo-echo").count(), 0);
  await page.goto(`${base}/keys`);
  await page.getByText("No keys yet").or(page.getByText("Create key")).first().waitFor();
  assert.equal(await page.getByText("Seeded 1").count(), 0);
  quiet();
  await close();
});
