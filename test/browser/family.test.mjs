// Keys that keys have issued, and keys that belong to somebody else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, ask, base, open, sessionOf, start, stop } from "./browser.mjs";

const secret = "a long way to Halley";
let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
});
after(stop);

/** A call of the management API with the session of a page; what it answers. */
async function call(page, method, path, body) {
  const answer = await page.evaluate(
    async ([method, path, body]) => {
      const response = await fetch(path, { method, ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }) });
      return { status: response.status, ...(await response.json()) };
    },
    [method, path, body],
  );
  return answer;
}

/** The same, where it must succeed; its data. */
async function done(page, method, path, body) {
  const answer = await call(page, method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${answer.message}`);
  return answer.data;
}

const rowOf = (within, name) => within.getByRole("row").filter({ hasText: name });
const heading = (page, name) => page.getByRole("heading", { level: 1 }).getByText(name, { exact: true }).waitFor();

test("a key issues a child within its own bounds, and what happens to the one happens to both", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  const ends = Math.floor(Date.now() / 1000) + 20 * 86_400;
  const parent = await done(page, "POST", "/api/token/", {
    name: "Customer portal",
    remain_quota: 1_000_000,
    expired_time: ends,
    model_limits_enabled: true,
    model_limits: "demo-*",
    allow_ips: "127.0.0.0/8\n::1",
    limits: { rpm: 60, endpoints: ["chat"] },
  });
  await page.goto(`${base}/keys/${parent.id}`);
  const issued = page.locator("section").filter({ has: page.getByRole("heading", { name: "Issued keys" }) }).last();
  await issued.getByText("This key has issued none.").waitFor();

  await issued.getByRole("button", { name: "Issue a child key" }).click();
  const panel = page.getByRole("dialog", { name: "New child of “Customer portal”" });
  await panel.getByText("Its parent has $2.00 left").waitFor();
  await panel.getByText("At the latest with its parent").waitFor();
  await panel.getByText("What its parent may use: demo-*.").waitFor();
  await panel.getByText("Within its parent’s: 127.0.0.0/8, ::1").waitFor();
  assert.equal(await panel.getByRole("radio", { name: "30 days" }).count(), 0, "nothing later than the parent is offered");
  assert.ok(await panel.getByRole("checkbox", { name: "images" }).isDisabled(), "an endpoint that the parent lacks cannot be had");
  assert.equal(await panel.getByRole("textbox", { name: "Requests per minute" }).getAttribute("placeholder"), "At most 60");
  await accessible(page, "the form of a child");

  const refusedAt = async (name, text) => {
    await panel.getByRole("button", { name: "Create key" }).click();
    const field = panel.getByRole("textbox", { name, exact: true });
    await field.and(panel.locator("[aria-invalid=true]")).waitFor();
    await panel.locator(`[id="${(await field.getAttribute("aria-describedby")).split(" ")[0]}"]`).getByText(text).waitFor();
    await page.waitForFunction((label) => document.activeElement?.getAttribute("aria-invalid") === "true" && document.activeElement.labels[0].textContent === label, name);
  };
  await panel.getByRole("textbox", { name: "Name" }).fill("Portal of ACME");
  await panel.getByRole("textbox", { name: "Requests per minute" }).fill("600");
  await panel.getByRole("textbox", { name: "Amount", exact: true }).fill("1");
  await refusedAt("Requests per minute", "must be at most the parent's 60");
  await panel.getByRole("textbox", { name: "Requests per minute" }).fill("30");
  await panel.getByRole("textbox", { name: "Amount", exact: true }).fill("3");
  await refusedAt("Amount", "1000000 quota units that its parent has left");
  await panel.getByRole("textbox", { name: "Amount", exact: true }).fill("0.5");
  await panel.getByRole("button", { name: "Create key" }).click();

  const value = await page.getByTestId("key-value").textContent();
  assert.match(value, /^sk-hly/);
  assert.ok((await page.getByRole("dialog").locator("pre").textContent()).includes(value), "the snippets have the new value");
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await ask(value), 200);

  const row = rowOf(issued, "Portal of ACME");
  await row.getByText("Enabled").waitFor();
  await page.reload();
  await row.getByText(/\$0\.0\d+/).waitFor(); // what it has spent
  const [child] = (await done(page, "GET", `/api/token/?parent_id=${parent.id}`)).items;
  assert.equal(child.expired_time, ends, "it ends with its parent");
  const spent = async (id) => (await done(page, "GET", `/api/token/${id}`)).used_quota;
  assert.ok((await spent(child.id)) > 0 && (await spent(child.id)) === (await spent(parent.id)), "the parent pays for it, too");

  await issued.getByRole("link", { name: "Show all in the list" }).click();
  await page.waitForURL(new RegExp(`/keys\\?parent=${parent.id}$`));
  await page.getByText("Keys issued by “Customer portal”").waitFor();
  await rowOf(page, "Portal of ACME").waitFor();
  assert.equal(await page.getByRole("row").count(), 2, "the head and the one child");
  await rowOf(page, "Portal of ACME").getByRole("link").click();

  await heading(page, "Portal of ACME");
  assert.equal(await page.getByRole("heading", { name: "Issued keys" }).count(), 0, "a child issues none");
  const toParent = page.getByRole("link", { name: "Customer portal" }).first();
  await toParent.waitFor();

  await done(page, "PUT", "/api/token/?status_only=true", { id: parent.id, status: 2 });
  await page.reload();
  await page.getByRole("note").getByText("Its parent “Customer portal” is disabled").waitFor();
  assert.ok(await page.getByRole("button", { name: "Enable" }).isDisabled(), "the child's own switch does nothing now");
  assert.equal(await ask(value), 401);
  await page.getByRole("note").getByRole("link").click();
  await heading(page, "Customer portal");
  await issued.getByText("Enable this key to issue others.").waitFor();
  assert.ok(await issued.getByRole("button", { name: "Issue a child key" }).isDisabled());
  await page.getByRole("button", { name: "Enable" }).click();
  await page.getByText("“Customer portal” works again.").waitFor();
  assert.equal(await ask(value), 200);

  await done(page, "PUT", "/api/token/", { id: parent.id, expired_time: Math.floor(Date.now() / 1000) - 60 });
  await page.reload();
  await issued.getByText("Prolong this key to issue others.").waitFor();
  await rowOf(issued, "Portal of ACME").getByText("Expired").waitFor();
  await rowOf(issued, "Portal of ACME").getByRole("link").click();
  await page.getByRole("note").getByText("Its parent “Customer portal” has expired").waitFor();
  await accessible(page, "a child whose parent has expired");
  await done(page, "PUT", "/api/token/", { id: parent.id, expired_time: ends, remain_quota: 0 });
  await page.reload();
  await page.getByRole("note").getByText("Its parent “Customer portal” has nothing left").waitFor();
  assert.equal(await ask(value), 402);
  quiet();
  await close();
});

test("a key with many children has pages of them", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  const parent = await done(page, "POST", "/api/token/", { name: "Fleet", unlimited_quota: true });
  for (let i = 0; i < 12; i++) await done(page, "POST", `/api/token/${parent.id}/children`, { name: `Agent ${i}`, unlimited_quota: true });
  await page.goto(`${base}/keys/${parent.id}?period=24h`);
  await page.getByRole("link", { name: "Agent 11", exact: true }).waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByRole("link", { name: "Agent 0", exact: true }).waitFor();
  assert.match(page.url(), /period=24h/);
  assert.match(page.url(), /children=2/);
  await page.reload();
  await page.getByRole("link", { name: "Agent 0", exact: true }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Agent 11", exact: true }).count(), 0);
  quiet();
  await close();
});

test("an administrator looks after somebody else's keys and never sees their values", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/users`);
  const hedy = await done(page, "POST", "/api/user/", { username: "hedy", password: secret, role: "user", quota: 5_000_000 });
  const boss = await done(page, "POST", "/api/user/", { username: "boss", password: secret, role: "admin", quota: 5_000_000 });
  const hers = await open({ cookies: await sessionOf("hedy", secret) });
  await hers.page.goto(`${base}/keys`);
  const key = await done(hers.page, "POST", "/api/token/", { name: "Thesis", remain_quota: 500_000 });
  assert.equal(await ask(key.key), 200);

  await page.goto(`${base}/users/${hedy.id}`);
  await page.getByRole("link", { name: "All keys (1)" }).click();
  await page.waitForURL(new RegExp(`/keys\\?user=${hedy.id}$`));
  await page.getByRole("note").getByText("You are looking at the keys of hedy.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Seeded 29" }).count(), 0, "one's own keys are not among them");
  await accessible(page, "somebody else's keys");
  await rowOf(page, "Thesis").getByRole("link").click();
  await heading(page, "Thesis");
  await page.getByRole("note").getByText("You are looking at the keys of hedy.").waitFor();
  await page.getByRole("row").filter({ hasText: "demo-echo" }).getByText("200").first().waitFor();
  await page.getByText(/\$0\.0\d+ for 1 request$/).waitFor();
  assert.ok(!(await page.content()).includes(key.key), "the page does not have the value");
  assert.equal(await page.getByRole("button", { name: "Copy key" }).count(), 0);
  const seen = await done(page, "GET", `/api/token/${key.id}?user_id=${hedy.id}`);
  assert.equal(seen.key, `sk-hly…${key.key.slice(-4)}`);

  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByText("“Thesis” is disabled.").waitFor();
  assert.equal(await ask(key.key), 401);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("“Thesis” works again.").waitFor();
  assert.equal(await ask(key.key), 200);
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Name" }).fill("Thesis, last chapter");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await heading(page, "Thesis, last chapter");
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Verify" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Verify" }).click();
  await page.getByText("It would be admitted.").waitFor();
  await page.keyboard.press("Escape");

  // It issues a key, which is hers as well.
  await page.getByRole("button", { name: "Issue a child key" }).click();
  const child = page.getByRole("dialog", { name: "New child of “Thesis, last chapter”" });
  await child.getByRole("textbox", { name: "Name" }).fill("Footnotes");
  await child.getByRole("radio", { name: "Unlimited" }).click();
  await child.getByRole("button", { name: "Create key" }).click();
  const issued = await page.getByTestId("key-value").textContent();
  await page.getByRole("button", { name: "Done" }).click();
  assert.equal(await ask(issued), 200);
  await page.getByRole("link", { name: "Footnotes" }).click();
  await heading(page, "Footnotes");
  await page.getByRole("note").getByText("You are looking at the keys of hedy.").waitFor();
  await page.getByRole("link", { name: "Thesis, last chapter" }).first().click();
  await heading(page, "Thesis, last chapter");

  // Among everybody's requests hers lead to her keys.
  await page.goto(`${base}/usage?who=all&user=${hedy.id}`);
  await page.getByRole("row").filter({ hasText: "Footnotes" }).getByRole("button").first().click();
  await page.getByRole("dialog").getByRole("link", { name: "Footnotes" }).click();
  await heading(page, "Footnotes");
  await page.goto(`${base}/keys/${key.id}?user=${hedy.id}`);
  await heading(page, "Thesis, last chapter");

  await page.locator("main").getByRole("link", { name: "API keys" }).click();
  await page.getByRole("button", { name: "Create key" }).click();
  const panel = page.getByRole("dialog", { name: "New API key for hedy" });
  await panel.getByRole("textbox", { name: "Name" }).fill("From the administrator");
  await panel.getByRole("button", { name: "Create key" }).click();
  const made = await page.getByTestId("key-value").textContent();
  assert.equal(await ask(made), 200);
  await page.getByRole("button", { name: "Done" }).click();
  assert.deepEqual(
    (await done(hers.page, "GET", "/api/token/")).items.map(({ name }) => name),
    ["From the administrator", "Footnotes", "Thesis, last chapter"],
    "it is hers",
  );

  await rowOf(page, "Thesis, last chapter").getByRole("link").click();
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("Thesis, last chapter");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(new RegExp(`/keys\\?user=${hedy.id}$`));
  await rowOf(page, "From the administrator").waitFor();
  assert.deepEqual([await ask(key.key), await ask(issued)], [401, 401], "its child has ended with it");
  await page.getByRole("note").getByRole("link", { name: "Your own keys" }).click();
  await page.getByRole("link", { name: "Seeded 29" }).waitFor();
  assert.equal(await page.getByRole("note").count(), 0);
  quiet();
  await close();

  // What is done for root takes root: an administrator may look, not touch.
  const theirs = await open({ cookies: await sessionOf("boss", secret) });
  await theirs.page.goto(`${base}/keys?user=1`);
  await theirs.page.getByRole("note").getByText("Only root may change them.").waitFor();
  await theirs.page.getByRole("link", { name: "Search backend" }).or(theirs.page.getByRole("link", { name: "Seeded 29" })).first().waitFor();
  assert.equal(await theirs.page.getByRole("button", { name: "Create key" }).count(), 0);
  assert.equal(await theirs.page.getByRole("checkbox").count(), 0);
  assert.equal((await call(theirs.page, "DELETE", "/api/token/1?user_id=1")).status, 403);
  assert.ok(boss.id > 0);
  theirs.quiet();
  await theirs.close();

  // Who is no administrator is told so, and asks for nothing that is not theirs.
  const asked = [];
  hers.page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await hers.page.goto(`${base}/keys?user=1`);
  await hers.page.getByRole("alert").getByText("Only an administrator").waitFor();
  assert.ok(!asked.includes("/api/user/1"), asked.join());
  assert.equal(await hers.page.getByRole("link", { name: "Seeded 29" }).count(), 0);
  hers.quiet();
  await hers.close();
});
