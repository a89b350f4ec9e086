// The life of a key, told in the console.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, ask, base, management, open, password, sessionOf, signIn, start, stop } from "./browser.mjs";

let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
});
after(stop);

const rowOf = (page, name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

/** Makes a key with the form, and gives its value. */
async function create(page, name, fill = async () => {}) {
  await page.getByRole("button", { name: "Create key" }).first().click();
  const panel = page.getByRole("dialog", { name: "New API key" });
  await panel.getByRole("textbox", { name: "Name" }).fill(name);
  await fill(panel);
  await panel.getByRole("button", { name: "Create key" }).click();
  const shown = page.getByRole("dialog", { name: "Your new key" });
  const value = await shown.getByTestId("key-value").textContent();
  assert.match(value, /^sk-/);
  return { value, shown };
}

test("a page that needs somebody asks who it is, says why not, and goes on where one wanted to go", async () => {
  const { page, quiet, close } = await open();
  await page.goto(`${base}/keys?status=1`);
  await page.waitForURL(/sign-in\?from=/);
  await page.locator("input[name=username]").fill("root");
  await page.locator("input[name=password]").fill("not the password");
  await page.locator("form button[type=submit]").click();
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.textContent(), /Request \w+/);
  await signIn(page, "root", password);
  await page.waitForURL(/\/keys\?status=1$/);
  quiet();
  await close();
});

test("a key is made, used, counted, rotated, exhausted, topped up, disabled and deleted", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);

  const { value, shown } = await create(page, "Whole life", async (panel) => {
    await panel.getByRole("textbox", { name: "Amount", exact: true }).fill("0.5");
    await panel.getByRole("combobox", { name: "IP addresses" }).fill("not-an-address");
    await panel.getByText("is no address or network").waitFor();
    await panel.getByRole("combobox", { name: "IP addresses" }).fill("127.0.0.0/8");
    await panel.getByRole("radio", { name: "30 days" }).click();
  });
  for (const client of ["Python", "Node", "Go", "Claude Code", "Codex", "Cursor", "curl"]) {
    await shown.getByRole("radio", { name: client }).click();
    const code = await shown.locator("pre").textContent();
    assert.ok(code.includes(value) && code.includes(base), `${client} names the key and this server`);
  }
  await shown.getByRole("button", { name: "Copy key" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  await shown.getByRole("button", { name: "Done" }).click();
  await rowOf(page, "Whole life").getByText("$0.50").waitFor();

  assert.equal(await ask(value), 200);
  await rowOf(page, "Whole life").getByRole("link").click();
  await page.getByRole("heading", { name: "Whole life", level: 1 }).waitFor();
  await page.getByRole("row").filter({ hasText: "demo-echo" }).getByText("200").first().waitFor();
  await page.getByText(/\$0\.0\d+ for 1 request$/).waitFor();
  await page.locator("canvas").waitFor();

  await page.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  const rotated = await page.getByTestId("key-value").textContent();
  assert.notEqual(rotated, value);
  await page.getByRole("button", { name: "Done" }).click();
  assert.deepEqual([await ask(value), await ask(rotated)], [200, 200], "both values work during the grace");
  await page.getByRole("button", { name: "End now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End now" }).click();
  await page.getByText("The old value no longer works.").waitFor();
  assert.deepEqual([await ask(value), await ask(rotated)], [401, 200], "the old value has ended");

  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Left" }).fill("0");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1 }).getByText("Exhausted").waitFor();
  assert.equal(await ask(rotated), 402);
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Verify" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Verify" }).click();
  await page.getByText("key_quota_exhausted").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Top up" }).click();
  await page.getByRole("dialog").getByRole("textbox", { name: "Add" }).fill("2");
  await page.getByRole("dialog").getByRole("button", { name: "Top up" }).click();
  await page.getByText("Done: $2.00 are left.").waitFor();
  assert.equal(await ask(rotated), 200);

  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByText("“Whole life” is disabled.").waitFor();
  assert.equal(await ask(rotated), 401);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("“Whole life” works again.").waitFor();
  assert.equal(await ask(rotated), 200);

  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Delete" });
  await page.getByRole("dialog").getByRole("textbox").fill("whole life");
  assert.ok(await confirm.isDisabled(), "another name deletes nothing");
  await page.getByRole("dialog").getByRole("textbox").fill("Whole life");
  await confirm.click();
  await page.waitForURL(/\/keys$/);
  await page.getByText("“Whole life” is deleted.").waitFor();
  await rowOf(page, "Seeded 29").waitFor();
  assert.equal(await rowOf(page, "Whole life").count(), 0);
  assert.equal(await ask(rotated), 401);
  quiet();
  await close();
});

test("limits for some models and metadata are set, shown, kept to and taken away", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  const { value, shown } = await create(page, "Limited by model", async (panel) => {
    await panel.getByRole("textbox", { name: "Input tokens per minute" }).fill("90000");
    await panel.getByRole("button", { name: "Add models" }).click();
    const rates = panel.getByRole("group", { name: "Model or pattern" });
    await rates.getByRole("combobox", { name: "Model or pattern" }).fill("demo-e*");
    await panel.getByRole("group", { name: "demo-e*" }).getByRole("textbox", { name: "Requests per minute" }).fill("1");
    await panel.getByRole("button", { name: "Add an entry" }).click();
    await panel.getByRole("textbox", { name: "Name of the entry" }).fill("team");
    await panel.getByRole("textbox", { name: "Text", exact: true }).fill("Comets");
    await accessible(page, "the form with limits for models and metadata");
  });
  await shown.getByRole("button", { name: "Done" }).click();
  assert.deepEqual([await ask(value), await ask(value)], [200, 429]);
  await rowOf(page, "Limited by model").getByRole("link").click();
  await page.getByText("Requests per minute: 1", { exact: true }).waitFor();
  await page.getByText("90,000", { exact: true }).waitFor();
  await page.getByText("Comets", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Edit" }).click();
  const panel = page.getByRole("dialog");
  await panel.getByRole("button", { name: "Remove the limits of these models" }).click();
  await panel.getByRole("button", { name: "Remove the entry" }).click();
  await panel.getByRole("button", { name: "Save" }).click();
  await page.getByText("Comets", { exact: true }).waitFor({ state: "detached" });
  assert.equal(await ask(value), 200);
  quiet();
  await close();
});

test("what is searched for, filtered and sorted by stands in the address, and comes back with it", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  await page.getByRole("searchbox").fill("seeded 1");
  await page.waitForURL(/q=seeded/);
  await page.getByRole("combobox", { name: "Status" }).selectOption({ label: "Enabled" });
  await page.getByRole("button", { name: "Name" }).click();
  await page.waitForURL(/sort=-name/);
  const names = async () => page.getByRole("row").getByRole("link").allTextContents();
  await page.waitForFunction(() => document.querySelector("th[aria-sort=descending]"));
  await page.waitForFunction(() => !document.querySelector("table[aria-busy=true]"));
  const before = await names();
  assert.ok(before.length > 1 && before.every((name) => name.startsWith("Seeded 1")), before.join());
  assert.deepEqual(before, before.toSorted().reverse());
  await page.reload();
  await page.getByRole("row").getByRole("link").first().waitFor();
  assert.deepEqual(await names(), before);
  await page.getByRole("searchbox").fill("no such key");
  await page.getByText("No key matches").waitFor();
  await page.getByRole("button", { name: "Show all keys" }).click();
  await page.getByRole("row").getByRole("link").first().waitFor();
  await page.goto(`${base}/keys?page=999`);
  await page.waitForURL(/page=2/); // the last there is
  await page.getByRole("row").getByRole("link").first().waitFor();
  quiet();
  await close();
});

test("several keys are disabled together, and this is undone", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys?q=seeded+2`);
  for (const name of ["Seeded 20", "Seeded 21"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
  await page.getByRole("region", { name: "Chosen keys" }).getByRole("button", { name: "Disable" }).click();
  await page.getByText("2 keys are disabled.").waitFor();
  await rowOf(page, "Seeded 20").getByText("Disabled").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await rowOf(page, "Seeded 20").getByText("Enabled").waitFor();
  await rowOf(page, "Seeded 21").getByText("Enabled").waitFor();
  quiet();
  await close();
});

test("a form that was open before somebody else's change does not take it back, and Escape does not lose it", async () => {
  const root = management(cookies);
  const limits = { rpm: 0, budgets: [{ amount: 500_000, period: "day", time_zone: "Asia/Kolkata" }] };
  const { id } = await root("POST", "/api/token/", { name: "Edited twice", remain_quota: 5, limits });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys/${id}`);
  const edit = async () => {
    await page.getByRole("button", { name: "Edit" }).click();
    return page.getByRole("dialog", { name: /^Edit/ });
  };
  const panel = await edit();
  await panel.getByRole("textbox", { name: "Name" }).fill("Mine");
  await root("PUT", "/api/token/", { id, name: "Theirs" });
  await page.getByRole("heading", { level: 1, includeHidden: true }).getByText("Theirs").waitFor({ state: "attached" }); // read anew behind the form
  await page.keyboard.press("Escape");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByRole("alert").first().waitFor();
  assert.equal((await root("GET", `/api/token/${id}`)).name, "Theirs", "the other's change stands");
  await panel.getByRole("button", { name: "Cancel" }).click();

  // Opened again it is as it is now, and saves what has no field as it was.
  const again = await edit();
  await again.getByRole("textbox", { name: "Name" }).fill("Both");
  await again.getByRole("textbox", { name: "Amount of the budget" }).fill("2");
  await again.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { level: 1 }).getByText("Both").waitFor();
  const saved = await root("GET", `/api/token/${id}`);
  assert.equal(saved.limits.rpm, 0);
  assert.deepEqual([saved.limits.budgets[0].amount, saved.limits.budgets[0].time_zone], [1_000_000, "Asia/Kolkata"]);
  await root("DELETE", `/api/token/${id}`);
  quiet();
  await close();
});

test("a Chinese reader is told when a key ends and how often its budgets renew", async () => {
  const root = management(cookies);
  const budgets = [{ amount: 500_000, period: "day" }, { amount: 500_000, period: "hours:6" }];
  const { id } = await root("POST", "/api/token/", { name: "Without end", remain_quota: 5, limits: { budgets } });
  const { page, quiet, close } = await open({ locale: "zh-CN", cookies });
  await page.goto(`${base}/keys/${id}`);
  await page.getByText("永不", { exact: true }).waitFor();
  await page.getByText("$0.00 / $1.00 · 每天", { exact: true }).waitFor();
  await page.getByText("$0.00 / $1.00 · 每 6 小时", { exact: true }).waitFor();
  await page.goto(base);
  await page.getByText("每 6 小时 $1.00，已用 $0.00", { exact: true }).waitFor();
  await root("DELETE", `/api/token/${id}`);
  quiet();
  await close();
});

test("a key is not made without the address that was mistyped", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  await page.getByRole("button", { name: "Create key" }).first().click();
  const panel = page.getByRole("dialog", { name: "New API key" });
  await panel.getByRole("textbox", { name: "Name" }).fill("Only from here");
  const addresses = panel.getByRole("combobox", { name: "IP addresses" });
  await addresses.fill("127.0.0.0/88");
  await panel.getByRole("button", { name: "Create key" }).click();
  await page.waitForFunction(() => document.activeElement?.matches("[role=combobox][aria-invalid=true]"));
  assert.equal((await management(cookies)("GET", "/api/token/?keyword=Only+from+here")).total, 0);
  await addresses.fill("127.0.0.0/8");
  await panel.getByRole("button", { name: "Create key" }).click();
  await page.getByTestId("key-value").waitFor();
  const { items } = await management(cookies)("GET", "/api/token/?keyword=Only+from+here");
  assert.deepEqual(items.map((key) => key.allow_ips), ["127.0.0.0/8"]);
  quiet();
  await close();
});

test("a dialog forgets what was refused before", async () => {
  const root = management(cookies);
  const { id } = await root("POST", "/api/token/", { name: "Refused once", remain_quota: 5 });
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys/${id}`);
  await page.route("**/rotate*", (route) => route.fulfill({ status: 503, json: { success: false, message: "Away.", code: "store_unavailable" } }));
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByRole("radio", { name: "Not at all" }).click();
  await dialog.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Rotate" }).click();
  await dialog.getByRole("button", { name: "Rotate" }).waitFor();
  assert.equal(await dialog.getByRole("alert").count(), 0);
  assert.equal(await dialog.getByRole("radio", { name: "Not at all" }).getAttribute("aria-checked"), "false", "a grace again");
  await dialog.getByRole("button", { name: "Cancel" }).click();

  // As does the one that asks about several keys.
  await page.route("**/api/token/batch*", (route) => route.fulfill({ status: 503, json: { success: false, message: "Away.", code: "store_unavailable" } }));
  await page.goto(`${base}/keys?q=refused+once`);
  await page.getByRole("checkbox", { name: "Select Refused once" }).check();
  const deletes = page.getByRole("region", { name: "Chosen keys" }).getByRole("button", { name: "Delete" });
  await deletes.click();
  await dialog.getByRole("textbox").fill("delete");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await deletes.click();
  await dialog.getByRole("textbox").waitFor();
  assert.equal(await dialog.getByRole("alert").count(), 0);
  await root("DELETE", `/api/token/${id}`);
  quiet();
  await close();
});

test("a page that is no longer there does not hold whoever goes back", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/usage`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.goto(`${base}/keys?page=999`);
  await page.waitForURL(/page=2/);
  await page.getByRole("row").getByRole("link").first().waitFor();
  await page.goBack();
  await page.waitForURL(/usage/);
  quiet();
  await close();
});

test("a session that ends in the middle of a form loses nothing", async () => {
  const { page, context, quiet, close } = await open();
  await page.goto(`${base}/keys`);
  await signIn(page);
  await page.getByRole("button", { name: "Create key" }).first().click();
  const panel = page.getByRole("dialog", { name: "New API key" });
  await panel.getByRole("textbox", { name: "Name" }).fill("Kept over the end");
  await context.clearCookies();
  await panel.getByRole("button", { name: "Create key" }).click();
  const again = page.getByRole("dialog", { name: "Your session has ended" });
  await again.waitFor();
  await accessible(page, "the dialog about the session's end");
  await again.locator("input[name=password]").fill(password);
  await again.getByRole("button", { name: "Sign in" }).click();
  await page.getByTestId("key-value").waitFor();
  await page.getByRole("button", { name: "Done" }).click();
  await rowOf(page, "Kept over the end").waitFor();
  quiet();
  await close();
});

test("when the server is away the page says so, and goes on when it is back", async () => {
  const { page, context, quiet, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  await rowOf(page, "Seeded 29").waitFor();
  await context.setOffline(true);
  await page.getByRole("status").getByText("Offline").waitFor();
  await page.getByRole("button", { name: "Name" }).click();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("row").getByRole("link").first().waitFor();
  quiet();
  await close();
});

test("the keyboard alone is enough to sign in, make a key and sign out", async () => {
  const { page, quiet, close } = await open();
  const press = (...keys) => keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
  /** Tabs until the focus is on what has that role and name, which must be visible. */
  const reach = async (role, name) => {
    for (let i = 0; i < 80; i++) {
      const found = await page.getByRole(role, { name }).evaluateAll((all) => all.some((one) => one === document.activeElement));
      if (found) {
        const outline = await page.evaluate(() =>
          // A field of several values is outlined as a whole.
          [document.activeElement, document.activeElement.parentElement].some((one) => {
            const { outlineStyle, outlineWidth } = getComputedStyle(one);
            return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1;
          }),
        );
        assert.ok(outline, `the focus on ${name} can be seen`);
        return;
      }
      await press("Tab");
    }
    assert.fail(`${role} ${name} cannot be reached`);
  };
  await page.goto(`${base}/keys`);
  await page.locator("input[name=username]").waitFor();
  await page.keyboard.type("root");
  await press("Tab");
  await page.keyboard.type(password);
  await press("Enter");
  await rowOf(page, "Seeded 29").waitFor();

  await press("Tab");
  await reach("button", "Skip to the content");
  await press("Enter");
  await reach("button", "Create key");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.type("By keyboard");
  await reach("radio", "Limited");
  await press("ArrowRight");
  assert.equal(await page.getByRole("radio", { name: "Unlimited" }).getAttribute("aria-checked"), "true");
  await reach("radio", "All models");
  await press("ArrowRight");
  await reach("combobox", "Allowed models");
  await page.keyboard.type("demo-ec");
  await press("ArrowDown", "ArrowDown", "Enter");
  await page.getByRole("button", { name: "Remove demo-echo" }).waitFor();
  await press("Escape"); // closes the list alone
  await page.getByRole("dialog", { name: "New API key" }).waitFor();
  await reach("button", "Create key");
  await press("Enter");
  await page.getByTestId("key-value").waitFor();
  await reach("button", "Done");
  await press("Enter");
  await rowOf(page, "By keyboard").waitFor();

  await reach("button", /Account/);
  await press("Enter");
  await page.getByRole("menu").waitFor();
  await press("End");
  await page.waitForFunction(() => document.activeElement?.textContent === "Sign out");
  await press("Enter");
  await page.waitForURL(/sign-in/);
  quiet();
  await close();
});
