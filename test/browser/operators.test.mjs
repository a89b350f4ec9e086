// An operator's work, told in the console: channels and their order, groups,
// prices, users, options, and what is left of it in the audit log. What counts is
// what the server then does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { totp } from "./authenticators.mjs";
import { accessible, ask, base, caller, dragged, management, open, password, request, required, sessionOf, signIn, start, stop, until } from "./browser.mjs";

const upstream = required("HALLEY_UPSTREAM");
const away = required("HALLEY_UPSTREAM_AWAY");

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
const channels = async () => (await root("GET", "/api/channel/?page_size=100")).items;
const channelNamed = async (name) => (await channels()).find((one) => one.name === name);
const recordOf = (id) => until(`the record of ${id}`, async () => (await root("GET", `/api/log/?request_id=${id}`)).items[0]);

/** Makes a channel of the demo kind without the console. */
const demo = (name, model, more = {}) => root("POST", "/api/channel/", { name, kind: "demo", models: [model], groups: ["default"], ...more });

/** The channel that a request for the model is served by. */
async function servedBy(model) {
  const { status, id } = await request(key.key, model);
  assert.equal(status, 200, model);
  const { channel_id } = await recordOf(id);
  return (await channels()).find((one) => one.id === channel_id)?.name;
}

/** Types values into a field that takes several. */
async function add(field, ...values) {
  for (const value of values) {
    await field.fill(value);
    await field.press("Enter");
  }
}

async function newChannel(page, preset) {
  await page.getByRole("button", { name: "New channel" }).first().click();
  const panel = page.getByRole("dialog", { name: "New channel" });
  await panel.getByRole("searchbox", { name: "Search providers" }).fill(preset);
  await panel.getByRole("button", { name: preset }).click();
  return panel;
}

test("a channel is made from a preset, with a real request before it is saved, and serves", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels`);
  const panel = await newChannel(page, "Demo (built in)");
  await panel.getByRole("textbox", { name: "Name" }).fill("Comets");
  await panel.getByRole("button", { name: "Get the upstream's list" }).click();
  await panel.getByText(/^The upstream has \d+ models/).waitFor();
  await add(panel.getByRole("combobox", { name: /^Models/ }), "comet-1");
  await panel.getByRole("combobox", { name: "Tag" }).fill("comets");
  await panel.getByRole("button", { name: "Test", exact: true }).click();
  await panel.getByText("Works", { exact: true }).waitFor();
  await panel.getByText(/^HTTP 200/).waitFor();
  await accessible(page, "a new channel with its live test");
  assert.equal(await channelNamed("Comets"), undefined, "nothing was saved by the test");
  assert.equal(await ask(key.key, "comet-1"), 404, "nor does it serve");
  await panel.getByRole("button", { name: "Create" }).click();
  await page.getByText("Comets was added").waitFor();
  await rowOf(page, "Comets").getByText("No recent traffic").waitFor();
  assert.equal(await servedBy("comet-1"), "Comets");
  await page.reload();
  await rowOf(page, "Comets").getByText("Healthy").waitFor();
  quiet();
  await close();
});

test("a live test that fails says why; with what was wrong put right it works, through another endpoint", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels`);
  await page.getByRole("button", { name: "New channel" }).first().click();
  const panel = page.getByRole("dialog", { name: "New channel" });
  await panel.getByRole("button", { name: "Another upstream" }).click();
  await panel.getByRole("textbox", { name: "Name" }).fill("Mirror");
  const url = panel.getByRole("textbox", { name: "Base URL" });
  const keys = panel.getByRole("textbox", { name: "Upstream keys" });
  const run = panel.getByRole("button", { name: "Test", exact: true });
  await add(panel.getByRole("combobox", { name: /^Models/ }), "mirror");
  await panel.getByRole("button", { name: "Map a name" }).click();
  await panel.getByRole("combobox", { name: "Public name" }).fill("mirror");
  await panel.getByRole("combobox", { name: "Upstream's name" }).fill("comet-1");

  await url.fill(away);
  await keys.fill("sk-nobody-knows-this-one");
  await run.click();
  await panel.getByText("Failed", { exact: true }).waitFor();
  await panel.getByText(/^the upstream cannot be reached: .*refused/).waitFor();

  await url.fill(`${base}/v1`); // this very server, as somebody else's
  await run.click();
  await panel.getByText(/^HTTP 401/).waitFor();
  await panel.getByText(/API key/).first().waitFor();
  assert.ok(!(await panel.locator("pre").allTextContents()).join().includes("nobody-knows-this-one"), "the key is masked");

  await keys.fill(key.key);
  await run.click();
  await panel.getByText("Works", { exact: true }).waitFor();
  await panel.getByRole("button", { name: "Create" }).click();
  await page.getByText("Mirror was added").waitFor();

  const { status, answer } = await request(key.key, "mirror");
  assert.equal(status, 200);
  assert.match(answer.choices[0].message.content, /comets/i);
  const made = await until("both halves' records", async () => {
    const { items } = await root("GET", `/api/log/?key_id=${key.id}&page_size=5`);
    return items.some(({ model }) => model === "mirror") && items;
  });
  const mirror = made.find(({ model }) => model === "mirror");
  assert.equal(mirror.channel_id, (await channelNamed("Mirror")).id);
  assert.equal(mirror.served_model, "comet-1");
  assert.ok(!(await page.content()).includes(key.key), "a saved key is not shown again");

  // A change of the saved one is tried out with the key that it has.
  await rowOf(page, "Mirror").getByRole("button", { name: "Actions for Mirror" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  const edit = page.getByRole("dialog", { name: "Edit Mirror" });
  await edit.getByText(`…${key.key.slice(-4)}`).waitFor();
  await edit.getByRole("combobox", { name: "Upstream's name" }).fill("no-such-model");
  await edit.getByRole("button", { name: "Test", exact: true }).click();
  await edit.getByText(/^HTTP 404/).waitFor();
  await edit.getByRole("combobox", { name: "Upstream's name" }).fill("comet-1");
  await edit.getByRole("button", { name: "Test", exact: true }).click();
  await edit.getByText("Works", { exact: true }).waitFor();
  await edit.getByRole("button", { name: "Cancel" }).click();
  quiet();
  await close();
});

test("a channel is edited, and an edit over somebody else's is refused", async () => {
  await demo("Editable", "editable-1", { weight: 1 });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels?q=editable`);
  await rowOf(page, "Editable").getByRole("link").click();
  await page.getByRole("heading", { name: "Editable", level: 1 }).waitFor();
  const edit = async (fill) => {
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    const panel = page.getByRole("dialog", { name: "Edit Editable" });
    await fill(panel);
    await panel.getByRole("button", { name: "Save" }).click();
    return panel;
  };
  await edit(async (panel) => {
    await panel.getByRole("textbox", { name: "Weight" }).fill("7");
    await add(panel.getByRole("combobox", { name: /^Models/ }), "editable-2");
  });
  await page.getByText("Editable was changed").waitFor();
  const saved = await channelNamed("Editable");
  assert.deepEqual([saved.weight, saved.models], [7, ["editable-1", "editable-2"]]);
  assert.equal(await servedBy("editable-2"), "Editable");

  const panel = await edit(async (panel) => {
    await root("PATCH", `/api/channel/${saved.id}`, { weight: 9 });
    await panel.getByRole("textbox", { name: "Weight" }).fill("3");
  });
  await panel.getByRole("alert").first().waitFor();
  assert.equal((await channelNamed("Editable")).weight, 9, "the other's change stands");
  await panel.getByRole("button", { name: "Cancel" }).click();
  quiet();
  await close();
});

test("the order in which channels stand, dragged and moved by keys, is the order that requests take", async () => {
  await demo("Order A", "ordered", { priority: 130 });
  await demo("Order B", "ordered", { priority: 120 });
  await demo("Order C", "ordered", { priority: 110 });
  assert.equal(await servedBy("ordered"), "Order A");
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels?view=order&q=order`);
  const itemOf = (name) => page.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
  const first = page.getByRole("region", { name: "Step 1", exact: true });

  // C is dragged to the very top, above the first box.
  await dragged(async () => {
    const from = await itemOf("Order C").boundingBox();
    const to = await first.boundingBox();
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 4 });
    const top = await first.boundingBox();
    await page.mouse.move(top.x + top.width / 2, top.y - 8, { steps: 2 });
    await page.mouse.up();
  });
  await first.getByRole("link", { name: "Order C" }).waitFor();
  assert.equal(await servedBy("ordered"), "Order A", "nothing counts before it is saved");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The order was saved").waitFor();
  assert.equal(await servedBy("ordered"), "Order C");

  // A goes below B: into its box, then out of it.
  const handle = page.getByRole("button", { name: "Move Order A" });
  await handle.focus();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("status").getByText(/^Order A is in step 2/).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("status").getByText(/^Order A is in step 3/).waitFor();
  assert.ok(await handle.evaluate((button) => button === document.activeElement), "the handle keeps the focus");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The order was saved").last().waitFor();
  await until("the order", async () => {
    const all = (await channels()).filter(({ name }) => name.startsWith("Order ")).sort((a, b) => b.priority - a.priority);
    return all.map(({ name }) => name.at(-1)).join("") === "CBA";
  });

  // Who is first leaves: the next one serves.
  await page.goto(`${base}/channels?q=order`);
  await rowOf(page, "Order C").getByRole("button", { name: "Actions for Order C" }).click();
  await page.getByRole("menuitem", { name: "Disable" }).click();
  await page.getByText("1 channel disabled").waitFor();
  assert.equal(await servedBy("ordered"), "Order B");
  quiet();
  await close();
});

test("all channels of a tag are disabled at once, and this is undone", async () => {
  await demo("Canary 1", "canary", { tag: "canary" });
  await demo("Canary 2", "canary", { tag: "canary" });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels?q=canary`);
  await page.getByRole("button", { name: "By tag" }).click();
  // The menu has each tag's two actions below its name.
  const items = page.getByRole("menu").getByText("canary", { exact: true }).locator("xpath=..");
  await items.getByRole("menuitem", { name: "Disable all" }).click();
  await page.getByText("2 channels disabled").waitFor();
  await rowOf(page, "Canary 2").getByText("Disabled").waitFor();
  assert.notEqual(await ask(key.key, "canary"), 200);
  assert.equal(await ask(key.key, "comet-1"), 200, "other tags go on");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("2 channels enabled").waitFor();
  assert.equal(await ask(key.key, "canary"), 200);
  quiet();
  await close();
});

test("several channels are tested together: how far it is, what failed and why, and the rest is called off", async () => {
  await demo("Tried well", "tried", { priority: -1 });
  await root("POST", "/api/channel/", { name: "Tried refused", kind: "openai", base_url: upstream, keys: ["sk-1"], models: ["script-error-401"], groups: ["default"] });
  await demo("Tried hanging", "demo-hang");
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels?q=tri`);
  for (const name of ["Tried well", "Tried refused", "Tried hanging"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await page.getByRole("region", { name: "Chosen channels" }).getByRole("button", { name: "Test", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Test of 3 channels" });
  const lineOf = (name) => dialog.getByRole("listitem").filter({ hasText: name });
  await lineOf("Tried well").getByText("Works").waitFor();
  await lineOf("Tried refused").getByText("Failed · HTTP 401").waitFor();
  await lineOf("Tried refused").getByText("The script answers with this error.", { exact: true }).waitFor();
  await lineOf("Tried hanging").getByText("Testing…").waitFor();
  await dialog.getByText("2 of 3 tested").waitFor();
  assert.equal(await dialog.getByRole("progressbar").getAttribute("value"), "2");
  await accessible(page, "channels being tested");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await lineOf("Tried hanging").getByText("Not tested").waitFor();
  const trail = await root("GET", "/api/audit/?action=channel.test&page_size=100");
  const tested = (id) => trail.items.filter(({ target }) => target === `channel ${id}`).map(({ detail }) => JSON.parse(detail).ok);
  assert.deepEqual(tested((await channelNamed("Tried well")).id), [true]);
  assert.deepEqual(tested((await channelNamed("Tried refused")).id), [false]);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  quiet();
  await close();
});

test("an upstream that fails is left out, and the console says which, since when and why", async () => {
  const ill = await root("POST", "/api/channel/", {
    name: "Ill", kind: "openai", base_url: upstream, keys: ["sk-ill-0001"], models: ["ailing"], model_mapping: { ailing: "script-error-500" }, groups: ["default"], priority: 60,
  });
  await demo("Well", "ailing", { priority: 50 });
  await until("the breaker", async () => {
    assert.equal(await servedBy("ailing"), "Well", "another one steps in");
    const { health } = await root("GET", `/api/channel/${ill.id}`);
    return health.some(({ state, reason }) => state === "open" && /attempts failed .* status 500$/.test(reason));
  });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/channels?q=ailing`);
  const badge = rowOf(page, "Ill").getByRole("button", { name: "Broken" });
  await badge.focus();
  await page.getByRole("tooltip").getByText(/attempts failed .* status 500/).first().waitFor();
  await rowOf(page, "Ill").getByRole("link").click();
  const target = page.getByRole("row").filter({ hasText: "script-error-500" }).filter({ hasText: "…0001" });
  await target.getByText(/^(Broken|Being tried)$/).waitFor(); // it is tried again now and then
  await target.getByText(/attempts failed .* status 500/).waitFor();
  await accessible(page, "a broken channel");

  // A request that met both tells so.
  const { items } = await root("GET", `/api/log/?key_id=${key.id}&model=ailing&page_size=100`);
  const both = items.find(({ trail }) => trail?.length > 1);
  await page.goto(`${base}/usage?who=all&request=${both.request_id}`);
  await page.getByText("1–1 of 1").waitFor();
  await page.getByRole("row").nth(1).getByRole("button").click();
  const attempts = page.getByRole("dialog", { name: /ailing/ }).getByRole("list", { name: "Attempts" }).getByRole("listitem");
  await attempts.nth(0).getByText("Ill", { exact: true }).waitFor();
  await attempts.nth(0).getByText(/status 500/).waitFor();
  await attempts.nth(1).getByText("Well", { exact: true }).waitFor();

  await page.goto(`${base}/channels`);
  await page.getByRole("link", { name: "Route explainer" }).click();
  await page.getByRole("combobox", { name: "API key" }).fill(String(key.id));
  await page.getByRole("combobox", { name: /^Model/ }).fill("ailing");
  const answered = page.waitForResponse((response) => response.url().endsWith("/api/route/explain"));
  await page.getByRole("button", { name: "Explain" }).click();
  const { data: explained } = await (await answered).json();
  await page.getByText("The request would be admitted.").waitFor();
  await page.waitForURL(/model=ailing/);
  // An ill channel is passed over, or stands in the plan to be tried with one request.
  const steps = [...explained.plan, ...explained.passed_over];
  assert.deepEqual(steps.map(({ name }) => name).sort(), ["Ill", "Well"]);
  assert.notEqual(explained.plan.find(({ name }) => name === "Ill")?.state, "closed");
  for (const { name, why } of steps) {
    const line = page.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
    await line.getByText(why).waitFor();
  }

  await page.getByRole("radio", { name: "Value" }).click();
  await page.getByLabel("API key", { exact: true }).fill(key.key);
  await page.getByRole("combobox", { name: /^Model/ }).fill("no-such-model");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("The request would be refused.").waitFor();
  assert.ok(!page.url().includes(key.key), "a key's value stays out of the address");
  quiet();
  await close();
});
