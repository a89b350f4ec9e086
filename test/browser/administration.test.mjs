// Groups, prices, users, options, the audit log and the system page, told in the
// console: each change against what the server then does.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { totp } from "./authenticators.mjs";
import { accessible, ask, base, caller, management, open, password, request, sessionOf, signIn, start, stop, until } from "./browser.mjs";

let cookies;
let root; // the API as root
let key; // one that nothing bounds
before(async () => {
  await start();
  cookies = await sessionOf();
  root = management(cookies);
  key = await root("POST", "/api/token/", { name: "Operator's own", unlimited_quota: true });
});
after(stop);

const rowOf = (page, name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
const recordOf = (id) => until(`the record of ${id}`, async () => (await root("GET", `/api/log/?request_id=${id}`)).items[0]);
/** The part of a form below a heading. */
const part = (panel, name) => panel.locator("section").filter({ has: panel.page().getByRole("heading", { name, exact: true }) });
/** A text's first amount of dollars. */
const dollars = (text) => Number(/-?\$([\d.,]+)/.exec(text)[1].replaceAll(",", ""));
const near = (a, b, what) => assert.ok(Math.abs(a - b) <= Math.abs(b) * 0.005, `${what}: ${a}, not ${b}`); // three digits are shown

/** Makes a user who has chosen a password, with a session. */
async function person(username, more = {}) {
  const secret = `${username} likes comets`;
  const { id } = await root("POST", "/api/user/", { username, password: secret, unlimited_quota: true, ...more });
  return { id, secret, cookies: await sessionOf(username, secret) };
}

test("a group is made for some, costs what its ratio says, and what uses it moves when it is deleted", async () => {
  const [inside, outside] = [await person("caroline"), await person("maria")];
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/groups`);
  await page.getByRole("button", { name: "New group" }).click();
  const panel = page.getByRole("dialog", { name: "New group" });
  await panel.getByRole("textbox", { name: /^Name/ }).fill("observatory");
  await panel.getByRole("textbox", { name: "Price ratio" }).fill("x");
  await panel.getByRole("radio", { name: "Some" }).click();
  const users = panel.getByRole("combobox", { name: "Users by id" });
  await users.fill(String(inside.id));
  await users.press("Enter");
  await panel.getByRole("button", { name: "Create" }).click();
  await panel.getByText(/ratio/i).nth(1).waitFor();
  assert.equal((await root("GET", "/api/group/?page_size=100")).items.some(({ name }) => name === "observatory"), false, "a ratio that is none makes no group");
  await panel.getByRole("textbox", { name: "Price ratio" }).fill("2.5");
  await accessible(page, "a new group");
  await panel.getByRole("button", { name: "Create" }).click();
  await page.getByText("observatory was added").waitFor();
  await rowOf(page, "observatory").getByText("×2.5").waitFor();

  const wish = { name: "In the group", unlimited_quota: true, group: "observatory" };
  const refused = await caller(outside.cookies)("POST", "/api/token/", wish);
  assert.deepEqual([refused.success, refused.param], [false, "group"], "others may not use it");
  const own = management(inside.cookies);
  const theirs = await own("POST", "/api/token/", wish);
  const { items } = await root("GET", "/api/channel/");
  await root("PATCH", `/api/channel/${items[0].id}`, { groups: ["default", "observatory"] });
  const [plain, dear] = [await request(key.key, "demo-echo"), await request(theirs.key, "demo-echo")];
  const [a, b] = [await recordOf(plain.id), await recordOf(dear.id)];
  near(b.usd, 2.5 * a.usd, "the group's price");

  await rowOf(page, "observatory").getByRole("link").click();
  const edit = page.getByRole("dialog", { name: "Edit observatory" });
  await edit.getByRole("textbox", { name: "Requests per minute" }).fill("1");
  await edit.getByRole("button", { name: "Save" }).click();
  await page.getByText("observatory was changed").waitFor();
  assert.deepEqual([await ask(theirs.key), await ask(theirs.key)].includes(429), true, "its limit holds");

  await page.getByRole("button", { name: "Delete observatory" }).click();
  const deleting = page.getByRole("dialog", { name: "Delete observatory" });
  await deleting.getByRole("button", { name: "Delete" }).click();
  await deleting.getByRole("alert").waitFor(); // it is used
  await deleting.getByRole("combobox", { name: "Move what uses it to" }).selectOption("default");
  await deleting.getByRole("button", { name: "Delete" }).click();
  await page.getByText("observatory was deleted").waitFor();
  assert.equal((await own("GET", `/api/token/${theirs.id}`)).group, "default");
  assert.deepEqual((await root("GET", `/api/channel/${items[0].id}`)).groups, ["default"]);
  assert.equal(await ask(theirs.key), 200, "and is served there, without the limit");
  quiet();
  await close();
});

test("a price is put into force with its tiers, charged, looked back on, and ended", async () => {
  const past = (await root("GET", "/api/log/?page_size=100")).items.filter(({ key_name }) => key_name === "Long ago");
  const charged = past.reduce((sum, { usd }) => sum + usd, 0);
  assert.ok(past.length === 3 && charged > 0, "there is a last month");
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/prices`);
  await page.getByRole("searchbox", { name: "Model" }).fill("demo-echo");
  await page.waitForURL(/q=demo-echo/);
  await rowOf(page, "demo-echo").getByText("Catalog").waitFor();
  await rowOf(page, "demo-echo").getByRole("link").click();
  const panel = page.getByRole("dialog", { name: "demo-echo" });
  const tokens = part(panel, "Per million tokens");
  assert.equal(await tokens.getByRole("textbox", { name: "Input", exact: true }).inputValue(), "1");
  await tokens.getByRole("textbox", { name: "Input", exact: true }).fill("3");
  await tokens.getByRole("textbox", { name: "Output", exact: true }).fill("6");
  await tokens.getByRole("textbox", { name: "Cache read" }).fill("");

  // Nothing is in force yet: what would last month have cost?
  const rerate = part(panel, "What would it have cost?");
  await rerate.getByRole("button", { name: "Work it out" }).click();
  await rerate.getByText("Would have cost").waitFor();
  const figure = async (scope, name) => scope.getByText(name, { exact: true }).locator("xpath=..").textContent();
  near(dollars(await figure(rerate, "Charged")), charged, "what was charged");
  near(dollars(await figure(rerate, "Would have cost")), 3 * charged, "what it would have been");
  assert.match(await figure(rerate, "Difference"), /\+200%/);

  const long = part(panel, "Long prompts");
  await long.getByRole("button", { name: "Add" }).click();
  await long.getByRole("textbox", { name: "Prompts over (tokens)" }).fill("5");
  await long.getByRole("textbox", { name: "Input" }).fill("30");
  await long.getByRole("textbox", { name: "Output" }).fill("60");
  const tiers = part(panel, "Service tiers");
  await tiers.getByRole("button", { name: "Add" }).click();
  await tiers.getByRole("textbox", { name: "Service tier" }).fill("flex");
  await tiers.getByRole("textbox", { name: "Input" }).fill("1.5");
  await accessible(page, "a price with tiers");
  await panel.getByRole("button", { name: "Put into force" }).click();
  await page.getByText(/^demo-echo costs as .* says from now on$/).waitFor();
  const first = await root("GET", "/api/price/demo-echo");
  assert.deepEqual(
    [first.source, first.input, first.above_prompt_tokens.map(({ over, input }) => [over, input]), first.service_tiers.flex.input],
    ["custom", 3, [[5, 30]], 1.5],
  );
  await rowOf(page, "demo-echo").getByText("Custom").waitFor();

  const costs = async (content, input, output) => {
    const { id } = await request(key.key, "demo-echo", { messages: [{ role: "user", content }] });
    const record = await recordOf(id);
    assert.equal(record.price_version, first.version);
    near(record.usd, (record.prompt_tokens * input + record.completion_tokens * output) / 1e6, `${record.prompt_tokens} tokens`);
    return record.prompt_tokens;
  };
  assert.ok((await costs("Hi", 3, 6)) <= 5, "a short prompt costs the plain price");
  assert.ok((await costs("Tell me everything about comets and their tails.", 30, 60)) > 5, "a long one the tier's");

  // Another version; the first is taken over again from the history.
  await rowOf(page, "demo-echo").getByRole("link").click();
  await tokens.getByRole("textbox", { name: "Input", exact: true }).fill("9");
  await panel.getByRole("button", { name: "Put into force" }).click();
  await panel.waitFor({ state: "detached" });
  await page.getByRole("tab", { name: "History" }).click();
  await page.waitForURL(/tab=history/);
  const versions = page.getByRole("row").filter({ has: page.getByRole("link", { name: "demo-echo" }) });
  await versions.nth(1).waitFor();
  assert.deepEqual([await versions.nth(0).getByText("$9 in").count(), await versions.nth(1).getByText("$3 in").count()], [1, 1], "the newest stands first");
  await versions.nth(1).getByRole("link").click();
  const taken = part(panel, "History").getByRole("listitem").filter({ hasText: first.version });
  await taken.getByRole("button", { name: "Take over" }).click();
  assert.equal(await tokens.getByRole("textbox", { name: "Input", exact: true }).inputValue(), "3");
  assert.equal(await part(panel, "Long prompts").getByRole("textbox", { name: "Prompts over (tokens)" }).inputValue(), "5", "tiers come with it");
  await panel.getByRole("button", { name: "Put into force" }).click();
  await panel.waitFor({ state: "detached" });

  // All models of last month, with the prices in force now.
  await page.getByRole("tab", { name: "What if" }).click();
  await page.getByRole("button", { name: "Work it out" }).click();
  const rated = page.getByRole("row").filter({ hasText: "demo-echo" });
  await rated.waitFor();
  const cells = await rated.getByRole("cell").allTextContents();
  assert.equal(cells[1], "3");
  near(dollars(cells[4]), charged, "charged");
  const expected = past.reduce((sum, one) => sum + (one.prompt_tokens * (one.prompt_tokens > 5 ? 30 : 3) + one.completion_tokens * (one.prompt_tokens > 5 ? 60 : 6)) / 1e6, 0);
  near(dollars(cells[5]), expected, "with the prices in force");

  await page.goto(`${base}/prices?model=demo-echo`);
  await panel.getByRole("button", { name: "End the custom price" }).click();
  await page.getByRole("dialog", { name: "End the custom price of demo-echo?" }).getByRole("button", { name: "End the custom price" }).click();
  await page.getByText("The custom price of demo-echo has ended").waitFor();
  const after = await root("GET", "/api/price/demo-echo");
  assert.deepEqual([after.source, after.input], ["catalog", 1]);
  assert.equal((await recordOf((await request(key.key, "demo-echo")).id)).price_version, after.version);
  quiet();
  await close();
});

test("a price with tiers for every kind of token is opened and saved as it was, and a mistake is told where it is", async () => {
  const rates = (from) => Object.fromEntries(["input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning_output", "audio_input", "audio_output", "image_input", "image_output"].map((kind, i) => [kind, from + i / 1_000_000]));
  const definition = {
    ...rates(1),
    per_request: 0.002,
    per_search: 0.01,
    vendor: "in-house",
    mode: "chat",
    max_input_tokens: 200_000,
    max_output_tokens: 8192,
    above_prompt_tokens: [{ over: 1000, ...rates(2) }, { over: 9000, input: 0, audio_output: 3 }],
    service_tiers: { flex: rates(4), "priority.v2": { cache_write_1h: 5 } },
  };
  const { version: _, updated_time: __, ...before } = await root("PUT", "/api/price/whole-price", definition);
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/prices?model=whole-price`);
  const panel = page.getByRole("dialog", { name: "whole-price" });
  const flex = part(panel, "Service tiers").getByRole("group", { name: "flex" });
  assert.equal(await flex.getByRole("textbox", { name: "Image output" }).inputValue(), "4.000009");
  await accessible(page, "a price with every kind of token");
  const save = panel.getByRole("button", { name: "Put into force" });
  await save.click();
  await page.getByText(/^whole-price costs as/).waitFor();
  const { version: ___, updated_time: ____, ...after } = await root("GET", "/api/price/whole-price");
  assert.deepEqual(after, before);

  await page.goto(`${base}/prices?model=whole-price`);
  const long = part(panel, "Long prompts");
  await long.getByRole("button", { name: "Add" }).click();
  const added = long.getByRole("group").last();
  await added.getByRole("button", { name: "Other kinds of tokens" }).click();
  await added.getByRole("textbox", { name: "Cache write, 5 min" }).fill("1.5");
  const wrong = (field) => field.and(panel.locator("[aria-invalid=true]")).waitFor();
  await save.click();
  await wrong(added.getByRole("textbox", { name: "Prompts over (tokens)" }));
  await added.getByText("above_prompt_tokens[2].over is required").waitFor();
  await added.getByRole("textbox", { name: "Prompts over (tokens)" }).fill("50000");
  await added.getByRole("textbox", { name: "Cache write, 5 min" }).fill("-1");
  await save.click();
  await wrong(added.getByRole("textbox", { name: "Cache write, 5 min" }));
  await added.getByRole("textbox", { name: "Cache write, 5 min" }).fill("1.5");
  const tiers = part(panel, "Service tiers");
  await tiers.getByRole("button", { name: "Add" }).click();
  const twin = tiers.getByRole("group").last();
  await twin.getByRole("textbox", { name: "Service tier" }).fill("flex");
  await tiers.getByText("This name is there twice.").first().waitFor();
  await tiers.getByRole("button", { name: "Remove" }).last().click();
  await save.click();
  await page.getByText(/^whole-price costs as/).waitFor();
  assert.deepEqual((await root("GET", "/api/price/whole-price")).above_prompt_tokens.at(-1), { over: 50_000, cache_write_5m: 1.5 });
  quiet();
  await close();
});

test("a model that the catalog does not know is served to limited keys once it has a price", async () => {
  await root("POST", "/api/channel/", { name: "Unpriced", kind: "demo", models: ["comet-9"], groups: ["default"] });
  const limited = await root("POST", "/api/token/", { name: "Limited", remain_quota: 500_000 });
  assert.notEqual(await ask(limited.key, "comet-9"), 200);
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/prices`);
  await page.getByRole("button", { name: "New price" }).click();
  const panel = page.getByRole("dialog", { name: "New price" });
  await panel.getByRole("textbox", { name: /^Model/ }).fill("comet-9");
  const tokens = part(panel, "Per million tokens");
  await tokens.getByRole("textbox", { name: "Input", exact: true }).fill("many");
  await panel.getByRole("button", { name: "Put into force" }).click();
  await tokens.getByText(/input/).last().waitFor(); // said beside the field
  await tokens.getByRole("textbox", { name: "Input", exact: true }).fill("2");
  await tokens.getByRole("textbox", { name: "Output", exact: true }).fill("4");
  await panel.getByRole("button", { name: "Put into force" }).click();
  await panel.waitFor({ state: "detached" });
  assert.equal(await ask(limited.key, "comet-9"), 200);
  quiet();
  await close();
});

test("a user is made, changed, given a balance, disabled with undo, freed of lost second factors, and deleted", async () => {
  await root("POST", "/api/group/", { name: "uraniborg" });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/users`);
  await page.getByRole("button", { name: "New user" }).click();
  const panel = page.getByRole("dialog", { name: "New user" });
  await panel.getByRole("textbox", { name: /^User name/ }).fill("tycho");
  await panel.getByLabel(/^Password/).first().fill("short");
  await panel.getByRole("textbox", { name: "Balance" }).fill("0.5");
  await panel.getByRole("button", { name: "Create" }).click();
  await panel.getByText(/at least 8/i).first().waitFor();
  await panel.getByLabel(/^Password/).first().fill("given to them");
  await accessible(page, "a new user");
  await panel.getByRole("button", { name: "Create" }).click();
  await page.getByText("tycho was added").waitFor();
  const made = (await root("GET", "/api/user/?keyword=tycho")).items.find(({ username }) => username === "tycho");
  assert.deepEqual([made.role, made.quota, made.must_change_password], ["user", 250_000, true]);

  await page.getByRole("searchbox").fill("tycho");
  await page.waitForURL(/q=tycho/);
  await rowOf(page, "tycho").getByText("password due").waitFor();
  await rowOf(page, "tycho").getByRole("link").click();
  await page.getByRole("button", { name: "Balance" }).click();
  const quota = page.getByRole("dialog", { name: "Balance of tycho" });
  await quota.getByRole("textbox", { name: "Amount in USD" }).fill("2");
  await quota.getByText("Then $2.50.").waitFor();
  await quota.getByRole("button", { name: "Save" }).click();
  await page.getByText("tycho has $2.50 now").waitFor();
  const read = () => root("GET", `/api/user/${made.id}`);
  assert.equal((await read()).quota, 1_250_000);

  const edit = async (fill) => {
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    const panel = page.getByRole("dialog", { name: "Edit tycho" });
    await fill(panel);
    await panel.getByRole("button", { name: "Save" }).click();
    await panel.waitFor({ state: "detached" });
  };
  await edit(async (panel) => {
    await panel.getByRole("textbox", { name: "Display name" }).fill("Tycho Brahe");
    await panel.getByRole("combobox", { name: "Role" }).selectOption("admin");
    await panel.getByRole("combobox", { name: "Group" }).selectOption("uraniborg");
    await panel.getByRole("textbox", { name: "Requests per minute" }).first().fill("2");
    await panel.getByLabel("New password").fill("tycho likes comets");
  });
  const { role, group, display_name, limits } = await read();
  assert.deepEqual([role, group, display_name, limits.rpm], ["admin", "uraniborg", "Tycho Brahe", 2]);

  // They choose a password, administer, and spend within their limit.
  const first = await open();
  await first.page.goto(`${base}/channels`);
  await first.page.locator("input[name=username]").fill("tycho");
  await first.page.locator("input[name=password]").fill("tycho likes comets");
  await first.page.locator("form button[type=submit]").click();
  await first.page.getByLabel("New password").fill("tycho loves comets");
  await first.page.getByRole("button", { name: "Set the password" }).click();
  await first.page.getByRole("heading", { name: "Channels", level: 1 }).waitFor();
  assert.equal(await first.page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Options" }).count(), 0, "options are root's");
  const call = caller(await first.context.cookies());
  assert.equal((await call("GET", "/api/channel/")).status, 200);
  assert.equal((await call("GET", "/api/option/")).status, 403);
  const { data: theirs } = await call("POST", "/api/token/", { name: "Mars", unlimited_quota: true });
  assert.notEqual(await ask(theirs.key), 200, "no channel serves their group");
  const channel = (await root("GET", "/api/channel/")).items.find(({ name }) => name === "Old demo");
  await root("PATCH", `/api/channel/${channel.id}`, { groups: ["default", "uraniborg"] });
  assert.deepEqual([await ask(theirs.key), await ask(theirs.key), await ask(theirs.key)], [200, 200, 429]);

  // A token of whoever was here before them, and an app that they lose.
  const { data: token } = await call("POST", "/api/user/token", { name: "left behind" });
  const byToken = async () => (await fetch(`${base}/api/user/self`, { headers: { Authorization: token.token } })).status;
  const { data: enrolment } = await call("POST", "/api/user/totp", {});
  assert.equal((await call("POST", "/api/user/totp/confirm", { totp: totp(enrolment.secret) })).status, 200);
  await page.reload();
  await page.getByText("on", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Reset" }).click();
  await page.getByRole("dialog", { name: "Reset the second factors of tycho?" }).getByRole("button", { name: "Reset" }).click();
  await page.getByText("tycho signs in with the password alone again").waitFor();
  assert.equal((await call("GET", "/api/user/self")).status, 401, "their sessions have ended");
  assert.equal(await byToken(), 200, "a token goes on");
  await page.getByRole("button", { name: "Delete left behind" }).click();
  await page.getByRole("dialog", { name: "Delete left behind" }).getByRole("button", { name: "Delete" }).click();
  await page.getByText("No access tokens").waitFor();
  assert.equal(await byToken(), 401, "until it is deleted");
  await first.page.goto(`${base}/sign-in`);
  await signIn(first.page, "tycho", "tycho loves comets");
  const before = caller(await first.context.cookies());
  assert.equal((await before("GET", "/api/channel/")).status, 200);

  await edit((panel) => panel.getByRole("combobox", { name: "Role" }).selectOption("user"));
  assert.equal((await before("GET", "/api/channel/")).status, 401, "a session does not outlive a role");
  const again = caller(await sessionOf("tycho", "tycho loves comets"));
  assert.equal((await again("GET", "/api/channel/")).status, 403);
  await page.getByRole("button", { name: "Actions for tycho" }).click();
  await page.getByRole("menuitem", { name: "Disable" }).click();
  await page.getByText("tycho was disabled").waitFor();
  assert.deepEqual([(await again("GET", "/api/user/self")).status, await ask(theirs.key)], [401, 401]);
  await page.getByRole("button", { name: "Undo" }).last().click();
  await page.getByText("tycho was enabled").waitFor();
  assert.notEqual(await ask(theirs.key), 401);

  await page.getByRole("button", { name: "Actions for tycho" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const confirm = page.getByRole("dialog", { name: "Delete tycho?" });
  await confirm.getByRole("textbox").fill("tycho");
  await confirm.getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(/\/users/);
  await page.getByText("tycho was deleted").waitFor();
  assert.equal(await ask(theirs.key), 401);
  first.quiet();
  await first.close();
  quiet();
  await close();
});

test("an option is changed, counts at once, goes back to its default, and refuses what is none", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/options`);
  const form = (name) => page.getByRole("listitem").filter({ has: page.getByText(name, { exact: true }) });
  const own = management((await person("nicole")).cookies);
  const options = (await root("GET", "/api/option/?page_size=100")).items;
  for (const option of options) await form(option.name).getByText(option.help).waitFor(); // each with its help

  const most = form("max_keys_per_user");
  await most.getByRole("textbox").fill("1");
  await most.getByRole("button", { name: "Save" }).click();
  await page.getByText("max_keys_per_user was changed").waitFor();
  await own("POST", "/api/token/", { name: "The first" });
  const refused = await caller((await person("reine")).cookies)("POST", "/api/token/", { name: "Hers" });
  assert.equal(refused.status, 200, "each has that many");
  await assert.rejects(own("POST", "/api/token/", { name: "The second" }), /1/);
  await most.getByRole("button", { name: "Back to the default" }).click();
  await most.getByRole("button", { name: "Back to the default" }).waitFor({ state: "detached" });
  await own("POST", "/api/token/", { name: "The second" });

  await most.getByRole("textbox").fill("-1");
  await most.getByRole("button", { name: "Save" }).click();
  await most.getByRole("alert").waitFor();
  assert.match(await most.getByRole("alert").textContent(), /max_keys_per_user/);
  await most.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await most.getByRole("textbox").inputValue(), "1000");
  await most.getByRole("alert").waitFor({ state: "detached" });
  await most.getByRole("textbox").fill("a few");
  await most.getByText("A whole number.").waitFor();
  assert.ok(await most.getByRole("button", { name: "Save" }).isDisabled());

  await form("register_enabled").getByRole("checkbox").check();
  await form("register_enabled").getByRole("button", { name: "Save" }).click();
  await page.getByText("register_enabled was changed").waitFor();
  assert.equal((await (await fetch(`${base}/api/status`)).json()).data.register_enabled, true);
  assert.equal((await root("GET", "/api/option/?page_size=100")).items.find(({ name }) => name === "max_keys_per_user").value, 1000);
  quiet();
  await close();
});

test("what was done stands in the audit log, with before and after and no secret, and is found there", async () => {
  const secret = "sk-a-secret-of-the-upstream";
  const channel = await root("POST", "/api/channel/", { name: "Audited", kind: "openai", base_url: "http://127.0.0.1:9/v1", keys: [secret], models: ["audited"], groups: ["default"], weight: 2 });
  await root("PATCH", `/api/channel/${channel.id}`, { weight: 5, keys: [`${secret}-2`] });
  await person("vera");
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/audit`);
  await page.getByText(/^\d[\d,]* records follow each other; none was changed or taken away\.$/).waitFor();
  await page.getByRole("searchbox", { name: "Target" }).fill(`channel ${channel.id}`);
  await page.getByRole("searchbox", { name: "Target" }).press("Enter");
  await page.waitForURL(/target=channel/);
  const action = page.getByRole("combobox", { name: "Action" });
  await action.fill("channel.update");
  await page.waitForURL(/action=channel\.update/);
  await action.press("Escape");
  const rows = page.getByRole("row").filter({ hasText: `channel ${channel.id}` });
  await page.getByText("1–1 of 1").waitFor();
  await rows.getByRole("button").click();
  const panel = page.getByRole("dialog", { name: "channel.update" });
  const weight = panel.getByRole("listitem").filter({ hasText: "weight" });
  await weight.getByText("− Before: 2").waitFor();
  await weight.getByText("+ After: 5").waitFor();
  const { items } = await root("GET", `/api/audit/?action=channel.update&target=channel%20${channel.id}`);
  await panel.getByText(items[0].request_id).waitFor();
  await panel.getByText("root (1)").waitFor();
  await accessible(page, "an audit record");
  await panel.getByRole("button", { name: "Close" }).click();

  // By kind of target, by request, and as a file.
  await page.goto(`${base}/audit`);
  await page.getByRole("combobox", { name: "Kind of target" }).selectOption({ label: "Channels" });
  await page.waitForURL(/kind=channel/);
  await page.waitForFunction(() => !document.querySelector("table[aria-busy=true]"));
  const targets = page.locator("tbody tr td:nth-child(4)");
  await targets.first().waitFor();
  for (const target of await targets.allTextContents()) assert.match(target, /^channel /);
  const exported = async (format) => {
    const file = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    await page.getByRole("menuitem", { name: format }).click();
    return readFile(await (await file).path(), "utf8");
  };
  const ofChannels = (await root("GET", "/api/audit/?target_kind=channel&page_size=100")).items;
  assert.deepEqual(JSON.parse(await exported("As JSON")), ofChannels);
  assert.equal((await exported("As CSV, for spreadsheets")).split("\n").filter(Boolean).length, ofChannels.length + 1);
  await rows.first().getByRole("button").click();
  await page.getByRole("button", { name: "All of this request" }).click();
  await page.waitForURL((url) => url.searchParams.get("request") === items[0].request_id && !url.searchParams.has("kind"));
  await page.getByText("1–1 of 1").waitFor();
  await page.reload();
  await page.getByText("1–1 of 1").waitFor();
  assert.equal(await page.getByRole("searchbox", { name: "Request" }).inputValue(), items[0].request_id);

  await page.goto(`${base}/audit?action=user.create`);
  await rows.first().waitFor({ state: "detached" });
  await page.getByRole("row").filter({ hasText: "user.create" }).first().getByRole("button").click();
  await page.getByRole("dialog", { name: "user.create" }).getByText("vera").first().waitFor();
  assert.ok(!(await page.content()).includes("vera likes comets"), "no password is recorded");
  const all = JSON.stringify(await root("GET", "/api/audit/?page_size=100"));
  for (const word of [secret, "likes comets", key.key, password]) assert.ok(!all.includes(word), "nor any other secret");
  await page.keyboard.press("Escape");

  // A head that was noted is found again, another one is not.
  const { head } = await root("GET", "/api/audit/chain");
  await page.getByRole("textbox", { name: "A head noted earlier" }).fill(head);
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText(/records follow each other/).waitFor();
  await page.getByRole("textbox", { name: "A head noted earlier" }).fill(head.replace(/.$/, (last) => (last === "0" ? "1" : "0")));
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText(/^The trail is broken at record/).waitFor();
  quiet();
  await close();
});

test("the system page tells how the server is, and the doctor what needs mending", async () => {
  const channel = await root("POST", "/api/channel/", { name: "Unreachable", kind: "openai", base_url: "http://127.0.0.1:9/v1", keys: ["sk-1"], models: ["nowhere"], groups: ["default"] });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/system`);
  const state = await root("GET", "/api/system/");
  for (const text of [state.version, state.database.version, state.nodes[0].hostname]) await page.getByText(text).first().waitFor();
  await page.getByRole("row").filter({ hasText: "this one" }).getByText("At work").waitFor();
  await page.getByRole("button", { name: "Examine" }).click();
  await page.getByText(/things? needs? mending\.$/).waitFor();
  const finding = page.getByRole("listitem").filter({ hasText: `channel ${channel.id} (Unreachable)` });
  await finding.getByText(/^Mend: /).waitFor();
  await accessible(page, "the doctor's findings");
  await root("DELETE", `/api/channel/${channel.id}`);
  await page.getByRole("button", { name: "Examine" }).click();
  await finding.waitFor({ state: "detached" });
  quiet();
  await close();
});
