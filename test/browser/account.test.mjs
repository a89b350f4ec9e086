// One's own account, told in the console: first sign-in, second factors,
// passkeys, sessions, access tokens, and what is refused.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { authenticator, totp } from "./authenticators.mjs";
import { accessible, base, open, sessionOf, signIn, start, stop } from "./browser.mjs";

let cookies;
before(async () => {
  await start();
  cookies = await sessionOf();
});
after(stop);

/** A call of the management API as root. */
async function asRoot(method, path, body) {
  const { page, close } = await open({ cookies });
  await page.goto(`${base}/keys`);
  const answer = await page.evaluate(
    async ([method, path, body]) =>
      (await fetch(path, { method, headers: { "Content-Type": "application/json" }, ...(body && { body: JSON.stringify(body) }) })).json(),
    [method, path, body],
  );
  await close();
  assert.ok(answer.success, `${method} ${path}: ${answer.message}`);
  return answer.data;
}

/** Makes a user, who has chosen a password. */
async function person(username) {
  const secret = `${username} likes comets`;
  await asRoot("POST", "/api/user/", { username, password: "given to them", must_change_password: true });
  const { page, close } = await open();
  await page.goto(`${base}/sign-in`);
  await fillIn(page, username, "given to them");
  await page.getByRole("heading", { name: "Choose a password" }).waitFor();
  await page.getByLabel("New password").fill(secret);
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByRole("navigation").first().waitFor({ state: "attached" });
  await close();
  return secret;
}

async function fillIn(page, username, secret) {
  await page.locator("input[name=username]").fill(username);
  await page.locator("input[name=password]").fill(secret);
  await page.locator("form button[type=submit]").click();
}

/** The recovery codes that a dialog shows. */
async function read(dialog) {
  const items = dialog.getByTestId("recovery-codes").getByRole("listitem");
  await items.first().waitFor();
  return items.allTextContents();
}

async function signOut(page) {
  await page.getByRole("button", { name: /^Account:/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}

test("a password that somebody else set is changed before all else", async () => {
  await asRoot("POST", "/api/user/", { username: "ada", password: "given to them", must_change_password: true });
  const { page, quiet, close } = await open();
  await page.goto(`${base}/settings`);
  await fillIn(page, "ada", "given to them");
  const heading = page.getByRole("heading", { name: "Choose a password" });
  await heading.waitFor();
  await accessible(page, "choose a password");
  await page.goto(`${base}/keys`);
  await heading.waitFor(); // no other page is reached before
  await page.getByLabel("The password you were given").fill("given to them");
  await page.getByLabel("New password").fill("given to them");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.getByText("Choose another password").first().waitFor();
  await page.getByLabel("New password").fill("my own comet");
  await page.getByRole("button", { name: "Set the password" }).click();
  await page.waitForURL(/:\d+\/keys$/);
  await page.reload();
  await page.getByRole("heading", { name: "API keys", level: 1 }).waitFor();
  quiet();
  await close();
});

test("codes of an authenticator app are set up, asked for, replaced by a recovery code, and turned off", async () => {
  const secret = await person("grace");
  const { page, quiet, close } = await open();
  await page.goto(`${base}/sign-in`);
  await signIn(page, "grace", secret);
  await page.goto(`${base}/settings/security`);
  await page.getByRole("button", { name: "Set up" }).click();
  const dialog = page.getByRole("dialog", { name: "Set up an authenticator app" });
  await dialog.getByRole("img", { name: "QR code for an authenticator app" }).waitFor();
  await dialog.getByText("Cannot scan it?").click();
  const key = await dialog.getByTestId("totp-secret").textContent();
  await accessible(page, "enrolment");
  await dialog.getByRole("textbox", { name: /^Code/ }).fill(totp(key, 40));
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await dialog.getByText("compare the clocks").first().waitFor();
  await dialog.getByRole("textbox", { name: /^Code/ }).fill(totp(key));
  await dialog.getByRole("button", { name: "Confirm" }).click();

  const shown = page.getByRole("dialog", { name: "Recovery codes" });
  const codes = await read(shown);
  assert.equal(codes.length, 10);
  await accessible(page, "recovery codes");
  await shown.getByRole("button", { name: "Copy all" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), codes.join("\n"));
  const downloading = page.waitForEvent("download");
  await shown.getByRole("button", { name: "Download" }).click();
  assert.equal((await downloading).suggestedFilename(), "halley-recovery-codes.txt");
  await page.keyboard.press("Escape");
  await shown.getByRole("button", { name: "Done" }).and(page.locator(":disabled")).waitFor(); // not before they are kept
  await shown.getByLabel("I have kept the codes.").check();
  await shown.getByRole("button", { name: "Done" }).click();
  await page.getByText("10 left").waitFor();

  await signOut(page);
  await fillIn(page, "grace", secret);
  await page.getByRole("heading", { name: "Confirm that it is you" }).waitFor();
  await accessible(page, "second factor");
  await page.getByLabel("Code").fill("000000");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Code").fill(totp(key, 1)); // this step's code was spent
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();

  await signOut(page);
  await fillIn(page, "grace", secret);
  await page.getByRole("button", { name: "Use a recovery code" }).click();
  await page.getByLabel("Recovery code").fill(codes[0]);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await page.goto(`${base}/settings/security`);
  await page.getByText("9 left").waitFor();

  await page.getByRole("button", { name: "Renew" }).click();
  const renewing = page.getByRole("dialog", { name: "New recovery codes" });
  await renewing.getByLabel("Your password").fill(secret);
  await renewing.getByLabel("Code").fill(codes[1]);
  await renewing.getByRole("button", { name: "Make new codes" }).click();
  const renewed = await read(shown);
  assert.equal(renewed.length, 10);
  assert.ok(!renewed.includes(codes[2]), "the codes are new ones");
  await shown.getByLabel("I have kept the codes.").check();
  await shown.getByRole("button", { name: "Done" }).click();

  await page.getByRole("button", { name: "Turn off" }).click();
  const ending = page.getByRole("dialog", { name: "Turn off the authenticator app" });
  await ending.getByLabel("Your password").fill(secret);
  await ending.getByLabel("Code").fill(codes[2]);
  await ending.getByRole("button", { name: "Turn off" }).click();
  await ending.getByRole("alert").waitFor(); // the old codes are gone
  await ending.getByLabel("Code").fill(renewed[0]);
  await ending.getByRole("button", { name: "Turn off" }).click();
  await page.getByRole("button", { name: "Set up" }).waitFor();
  quiet();
  await close();
});

test("a passkey is added, signs in alone and beside the password, is renamed and deleted", async () => {
  const secret = await person("hedy");
  const { page, quiet, close } = await open();
  await authenticator(page);
  await page.goto(`${base}/sign-in`);
  await signIn(page, "hedy", secret);
  await page.goto(`${base}/settings/security`);
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const adding = page.getByRole("dialog", { name: "Add a passkey" });
  await adding.getByLabel("Name").fill("Laptop");
  await adding.getByRole("button", { name: "Continue" }).click();
  const codes = page.getByRole("dialog", { name: "Recovery codes" });
  const lost = await read(codes);
  await codes.getByLabel("I have kept the codes.").check();
  await codes.getByRole("button", { name: "Done" }).click();
  const list = page.getByRole("list", { name: "Passkeys" });
  await list.getByText("Laptop").waitFor();

  await signOut(page);
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();

  await signOut(page);
  await fillIn(page, "hedy", secret);
  await page.getByRole("heading", { name: "Confirm that it is you" }).waitFor();
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();

  await page.goto(`${base}/settings/security`);
  await page.getByRole("list", { name: "Sessions" }).getByText("password and passkey").waitFor();
  await list.getByRole("button", { name: "Rename Laptop" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Old laptop");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await list.getByRole("button", { name: "Delete Old laptop" }).click();
  // Ten minutes after signing in the server would want to know again who it is: it is heard to say so.
  await page.route("**/api/user/passkey/*", async (route) => {
    const { password, totp } = route.request().postDataJSON() ?? {};
    if (password && totp) return route.continue();
    const [status, code, param] = password ? [422, "totp_required", "totp"] : [403, "confirmation_required", "password"];
    return route.fulfill({ status, json: { success: false, message: `Give your ${param}, too.`, code, param } });
  });
  const deleting = page.getByRole("dialog");
  await deleting.getByRole("button", { name: "Delete" }).click();
  await deleting.getByLabel("Your password").fill(secret);
  await deleting.getByRole("button", { name: "Delete" }).click();
  await deleting.getByLabel("Code").fill(lost[0]);
  await accessible(page, "deleting a passkey");
  await deleting.getByRole("button", { name: "Delete" }).click();
  await page.getByText("No passkeys yet").waitFor();
  quiet();
  await close();
});

test("a session is ended from another one; whoever was in it signs in again and goes on", async () => {
  const secret = await person("mary");
  const first = await open();
  await first.page.goto(`${base}/sign-in`);
  await signIn(first.page, "mary", secret);
  const second = await open();
  await second.page.goto(`${base}/sign-in`);
  await signIn(second.page, "mary", secret);
  await second.page.goto(`${base}/settings`);
  await second.page.getByLabel("Display name").fill("Mary Somerville");

  await first.page.goto(`${base}/settings/security`);
  const list = first.page.getByRole("list", { name: "Sessions" });
  await list.getByText("This one").waitFor();
  await first.page.getByRole("button", { name: "End all others" }).click();
  await first.page.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await first.page.getByText(/sessions? ha(s|ve) ended\.$/).waitFor();
  await list.getByRole("listitem").nth(1).waitFor({ state: "detached" });

  await second.page.getByRole("button", { name: "Save" }).click();
  const again = second.page.getByRole("dialog", { name: "Your session has ended" });
  await again.getByLabel("Password", { exact: false }).first().fill(secret);
  await again.getByRole("button", { name: "Sign in" }).click();
  await second.page.getByText("Profile saved.").waitFor();
  await second.page.getByRole("button", { name: "Account: Mary Somerville" }).waitFor();
  for (const one of [first, second]) {
    one.quiet();
    await one.close();
  }
});

test("an access token is made, read once, used, and deleted", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/settings/tokens`);
  await page.getByRole("button", { name: "Create token" }).first().click();
  const panel = page.getByRole("dialog", { name: "New access token" });
  await accessible(page, "new access token");
  await panel.getByLabel("Name").fill("Backup job");
  await panel.getByRole("radio", { name: "7 days" }).click();
  await panel.getByRole("button", { name: "Create token" }).click();
  const shown = page.getByRole("dialog", { name: "Your new token" });
  const value = await shown.getByTestId("token-value").textContent();
  assert.match(value, /^hpat_/);
  await shown.getByRole("button", { name: "Copy token" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  await shown.getByRole("button", { name: "Done" }).click();
  const row = page.getByRole("row").filter({ hasText: "Backup job" });
  await row.getByText("read", { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(value), "the value is gone from the page");

  const call = (method, path) => fetch(base + path, { method, headers: { Authorization: value } });
  assert.equal((await call("GET", "/api/user/self")).status, 200);
  assert.equal((await call("DELETE", "/api/token/1")).status, 403, "it may only read");
  await row.getByRole("button", { name: "Delete Backup job" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  // Below a dialog no row is found, so that its going says nothing yet.
  await page.getByText("Backup job is deleted.").waitFor();
  await row.waitFor({ state: "detached" });
  assert.equal((await call("GET", "/api/user/self")).status, 401);
  quiet();
  await close();
});

test("language and time zone go with the account", async () => {
  const secret = await person("wangzhenyi");
  const { page, quiet, close } = await open();
  await page.goto(`${base}/sign-in`);
  await signIn(page, "wangzhenyi", secret);
  await page.goto(`${base}/settings`);
  const zone = page.getByRole("combobox", { name: "Time zone" });
  assert.equal(await zone.inputValue(), "Europe/Berlin", "the browser's zone at first");
  await zone.fill("shanghai");
  await page.keyboard.press("Enter");
  await page.getByText("Preference saved.").first().waitFor();
  const kept = page.waitForResponse((response) => response.request().method() === "PATCH");
  await page.getByRole("combobox", { name: "Language" }).selectOption({ label: "简体中文" });
  assert.equal((await kept).status(), 200);
  await page.getByRole("heading", { name: "偏好设置" }).waitFor();
  quiet();
  await close();

  const elsewhere = await open(); // a browser where English comes first
  await elsewhere.page.goto(`${base}/sign-in`);
  await signIn(elsewhere.page, "wangzhenyi", secret);
  await elsewhere.page.goto(`${base}/settings`);
  await elsewhere.page.getByRole("combobox", { name: "时区" }).and(elsewhere.page.locator("[value='Asia/Shanghai']")).waitFor();
  await elsewhere.close();
});

test("a refusal is told in the language of the page", async () => {
  const { page, quiet, close } = await open({ locale: "zh-CN" });
  await page.goto(`${base}/sign-in`);
  await fillIn(page, "someone", "not the password");
  await page.getByRole("alert").filter({ hasText: "用户名或密码不正确。" }).waitFor();
  quiet();
  await close();
});

test("whoever guesses is locked out, and told for how long", async () => {
  const { page, quiet, close } = await open();
  await page.goto(`${base}/sign-in`);
  for (let i = 0; i < 11; i++) {
    await fillIn(page, "nobody", `guess ${i}`);
    await page.locator("form button[aria-busy]").waitFor({ state: "detached" });
    await page.getByRole("alert").waitFor();
  }
  const timer = page.getByRole("timer");
  assert.match(await timer.textContent(), /try again in 1[45]:\d\d\.$/);
  assert.ok(await page.getByRole("button", { name: "Sign in" }).isDisabled());
  await accessible(page, "locked out");
  await page.locator("input[name=username]").fill("somebody else");
  await timer.waitFor({ state: "detached" }); // another name may try
  quiet();
  await close();
});

test("people make their own accounts where that is allowed", async () => {
  await asRoot("PUT", "/api/option/register_enabled", { value: true });
  const { page, quiet, close } = await open();
  await page.goto(`${base}/sign-in?from=/settings`);
  await page.getByRole("link", { name: "Create one" }).click();
  await page.getByRole("heading", { name: "Create an account" }).waitFor();
  await accessible(page, "register");
  await page.getByLabel("User name").fill("root");
  await page.getByRole("textbox", { name: /^Password/ }).fill("likes comets");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByText("is taken").first().waitFor();
  await page.getByLabel("User name").fill("caroline");
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL(/\/settings$/);
  await page.getByRole("heading", { name: "Profile" }).waitFor();
  quiet();
  await close();
});

test("settings are reached and changed by keyboard alone", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/settings`);
  await page.getByRole("heading", { name: "Profile" }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "content");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Profile", "the content's first link follows");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/settings\/tokens$/);
  const create = page.getByRole("button", { name: "Create token" }).first();
  await create.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "New access token" }).waitFor();
  assert.ok(await page.evaluate(() => document.activeElement?.matches("[role=dialog] input")), "the first field has the focus");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await create.evaluate((button) => button === document.activeElement), "the focus returns to what opened it");
  quiet();
  await close();
});
