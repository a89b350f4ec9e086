// Signing in at an identity provider, whole: the button, the provider, the way
// back, and what the account there is and may do here.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, base, caller, management, open, required, sessionOf, signIn, start, stop } from "./browser.mjs";

const issuer = required("HALLEY_ISSUER");

let root; // the API as root
before(async () => {
  await start();
  root = management(await sessionOf());
  const corp = await root("POST", "/api/login_provider/", {
    name: "corp",
    label: "Corp",
    issuer,
    client_id: required("HALLEY_CLIENT_ID"),
    client_secret: required("HALLEY_CLIENT_SECRET"),
    create_users: true,
    group_claim: "teams",
    groups: [{ value: "astronomers", group: "research" }],
    role_claim: "teams",
    admin_values: ["operators"],
  });
  assert.equal(corp.callback_url, `${base}/api/user/oidc/corp/callback`);
});
after(stop);

/** Has somebody sit in front of the browser at the provider. */
async function told(what, body = {}) {
  const response = await fetch(`${required("HALLEY_ISSUER_TOLD")}/${what}`, { method: "PUT", body: JSON.stringify(body) });
  assert.equal(response.status, 200);
}
const present = (claims) => told("signed-in", claims);

/** A page that may visit the provider, too. */
const visitor = (options) => open({ ...options, elsewhere: issuer });
const button = (page) => page.getByRole("link", { name: "Continue with Corp" });
const self = async (context) => (await caller(await context.cookies())("GET", "/api/user/self")).data;

test("who signs in there for the first time gets an account, with the role and group that the provider tells", async () => {
  await present({ sub: "1", preferred_username: "ada", name: "Ada Lovelace", email: "ada@example.com", email_verified: true, teams: ["astronomers", "operators"] });
  const { page, context, quiet, close } = await visitor();
  const visited = [];
  page.on("request", (request) => request.url().startsWith(issuer) && visited.push(new URL(request.url()).pathname));
  await page.goto(base);
  await button(page).waitFor();
  await accessible(page, "sign-in with an identity provider");
  await button(page).click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  assert.deepEqual(visited, ["/authorize"], "the browser was there, and there only");
  assert.equal(new URL(page.url()).search, "", "nothing of the visit stays in the address");
  await page.getByRole("button", { name: "Account: Ada Lovelace" }).waitFor();
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Channels", exact: true }).waitFor();
  const ada = await self(context);
  assert.deepEqual([ada.username, ada.role, ada.group, ada.email], ["ada", "admin", "research", "ada@example.com"]);
  await page.goto(`${base}/settings/security`);
  await page.getByRole("list", { name: "Sessions" }).getByText("Corp").waitFor();
  await page.getByText("Your account has no password").waitFor();
  const { items } = await root("GET", "/api/audit/?action=user.register");
  assert.ok(items.some(({ target, detail }) => target === `user ${ada.id}` && detail.includes("corp")));
  quiet();
  await close();

  // They come back later, have another team and go where they wanted to.
  await present({ sub: "1", preferred_username: "ada", teams: [] });
  const later = await visitor();
  await later.page.goto(`${base}/keys?q=telescope`);
  await later.page.waitForURL(/sign-in\?from=/);
  await button(later.page).click();
  await later.page.waitForURL(/:\d+\/keys\?q=telescope$/);
  await later.page.getByRole("heading", { name: "API keys", level: 1 }).waitFor();
  const again = await self(later.context);
  assert.deepEqual([again.id, again.role, again.group], [ada.id, "user", "default"]);
  assert.equal(await later.page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Channels", exact: true }).count(), 0);
  later.quiet();
  await later.close();
});

test("who is not vouched for is told, and still gets where they wanted to go", async () => {
  await root("POST", "/api/user/", { username: "grace", password: "grace likes comets" });
  await root("PATCH", "/api/login_provider/corp", { create_users: false });
  await present({ sub: "nobody here" });
  const { page, context, quiet, close } = await visitor();
  await page.goto(`${base}/usage?period=24h`);
  await button(page).click();
  const alert = page.getByRole("alert");
  await alert.getByText("Nobody here has this account.").waitFor();
  assert.match(await alert.textContent(), /Request \w+/);
  await accessible(page, "not vouched for");
  assert.equal(await self(context), undefined, "nobody is signed in");

  await page.reload(); // as somebody does who hopes
  await alert.waitFor();
  await present({ sub: "1", preferred_username: "ada" });
  await button(page).click(); // another try, with the account that is known
  await page.waitForURL(/:\d+\/usage\?period=24h$/);
  await page.getByRole("heading", { name: "Usage", level: 1 }).waitFor();
  quiet();
  await close();

  // Or with the password.
  await present({ sub: "nobody here" });
  const other = await visitor();
  await other.page.goto(`${base}/usage?period=24h`);
  await button(other.page).click();
  await other.page.getByRole("alert").waitFor();
  await signIn(other.page, "grace", "grace likes comets");
  await other.page.waitForURL(/:\d+\/usage\?period=24h$/);
  other.quiet();
  await other.close();
});

test("an account is linked, signs in, belongs to one only, and is unlinked", async () => {
  const { page, context, quiet, close } = await visitor({ cookies: await sessionOf("grace", "grace likes comets") });
  await page.goto(`${base}/settings/security`);
  const list = page.getByRole("list", { name: "Identity providers" });
  await list.getByText("Not linked").waitFor();

  // Ada's account is hers.
  const link = async () => {
    await list.getByRole("button", { name: "Link Corp" }).click();
    const dialog = page.getByRole("dialog", { name: "Link Corp" });
    await accessible(page, "linking an account");
    await dialog.getByRole("button", { name: "Continue" }).click();
  };
  await present({ sub: "1", preferred_username: "ada" });
  await link();
  await page.getByRole("alert").getByText("This account belongs to somebody here already.").waitFor();
  await list.getByText("Not linked").waitFor();
  await present({ sub: "2", preferred_username: "hopper" });
  await link();
  await list.getByText(/^hopper · linked/).waitFor();
  assert.equal(new URL(page.url()).pathname, "/settings/security");
  assert.equal(await page.getByRole("alert").count(), 0);

  const elsewhere = await visitor();
  await elsewhere.page.goto(`${base}/sign-in`);
  await button(elsewhere.page).click();
  await elsewhere.page.getByRole("button", { name: "Account: grace" }).waitFor();
  elsewhere.quiet();
  await elsewhere.close();

  await list.getByRole("button", { name: "Unlink Corp" }).click();
  await page.getByRole("dialog", { name: "Unlink Corp" }).getByRole("button", { name: "Unlink" }).click();
  await page.getByText("Corp is no longer linked.").waitFor();
  await list.getByText("Not linked").waitFor();
  const { items } = await root("GET", "/api/audit/?page_size=100");
  const { id } = await self(context);
  for (const action of ["identity.link", "identity.unlink"]) assert.ok(items.some((one) => one.action === action && one.actor === id), action);
  quiet();
  await close();

  const gone = await visitor();
  await gone.page.goto(`${base}/sign-in`);
  await button(gone.page).click();
  await gone.page.getByRole("alert").getByText("Nobody here has this account.").waitFor();
  await gone.close();
});

test("an account that the provider made gets its first password, from who has signed in just now", async () => {
  await present({ sub: "1", preferred_username: "ada" });
  const { page, context, quiet, close } = await visitor();
  const older = await visitor();
  await older.page.goto(`${base}/sign-in`);
  await button(older.page).click();
  await older.page.getByRole("button", { name: /^Account/ }).waitFor();
  await page.goto(`${base}/settings/security`);
  await button(page).click();
  await page.getByText("You have signed in just now").waitFor();
  await accessible(page, "a first password");

  // Later the page offers to sign in again; so that nobody has to wait, the list of sessions says it is later.
  await page.route("**/api/user/session?*", async (route) => {
    const answer = await (await route.fetch()).json();
    for (const session of answer.data.items) session.created_time -= 601;
    await route.fulfill({ json: answer });
  });
  await page.reload();
  await page.getByText("To set one, sign in again").waitFor();
  assert.equal(await page.getByLabel("New password").count(), 0);
  await page.unroute("**/api/user/session?*");
  await page.getByRole("link", { name: "Sign in again with Corp" }).click();
  await page.getByLabel("New password").fill("ada likes comets");
  await page.getByRole("button", { name: "Set password" }).click();
  await page.getByText("Password set. All other sessions have ended.").waitFor();
  await page.getByLabel("Current password").waitFor();
  assert.ok(await self(context), "this session goes on");
  assert.equal(await self(older.context), undefined, "the others have ended");
  const { id } = await self(context);
  const { items } = await root("GET", "/api/audit/?action=user.update");
  assert.ok(items.some(({ actor, detail }) => actor === id && detail.includes("set for the first time") && !detail.includes("comets")));
  await older.close();
  await sessionOf("ada", "ada likes comets");
  quiet();
  await close();
});

test("a provider that signs with other keys, or is turned off, signs nobody in", async () => {
  await present({ sub: "1", preferred_username: "ada" });
  await told("other-keys");
  const { page, context, quiet, close } = await visitor();
  await page.goto(`${base}/keys`);
  await button(page).click();
  await page.getByRole("alert").getByText("The identity provider did not vouch for you.").waitFor();
  assert.equal(await self(context), undefined);
  await root("PATCH", "/api/login_provider/corp", { enabled: false });
  await button(page).click(); // the button of before
  await page.getByRole("alert").getByText("Nobody signs in with this provider at present.").waitFor();
  await page.waitForURL(/from=%2Fkeys/);
  assert.equal(await button(page).count(), 0, "it has no button any more");
  quiet();
  await close();
});
