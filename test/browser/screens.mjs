// Every screen, for the looks at accessibility and for screenshots. A screen is
// an address, and perhaps what is done there first.

/** Waits for the layer that an act has opened. */
const dialog = (page) => page.getByRole("dialog").filter({ visible: true }).last();

/** A button at a page's top, by its place: what it is called depends on the language. */
const atTop = (page, place) => page.locator("main").getByRole("button").nth(place).click();

/** What a key's menu holds: top up, verify, delete. */
async function inMenu(page, place) {
  await atTop(page, 3);
  await page.getByRole("menuitem").nth(place).click();
  await dialog(page).waitFor();
}

/** The first row of the page's table, opened as with a mouse. */
async function firstRow(page) {
  await page.locator("main tbody tr").first().locator("button").first().click();
  await dialog(page).waitFor();
}

/**
 * A screen's address. {token:NAME} in it is the id of what is called so, or begins
 * so, on the server; where nothing is, an id that nothing has.
 */
export async function addressOf(page, base, { path }) {
  const [whole, kind, name] = /\{(\w+):([^}]+)\}/.exec(path) ?? [];
  if (!whole) return base + path;
  const { data } = await (await page.request.get(`${base}/api/${kind}/?p=1&page_size=100`)).json();
  const found = data.items.find((one) => (one.name ?? one.username).startsWith(name));
  return base + path.replace(whole, found?.id ?? 999_999);
}

/** @type {{name: string, path: string, act?: (page) => Promise<void>, signedOut?: boolean}[]} */
export const screens = [
  { name: "sign-in", path: "/sign-in", signedOut: true },
  { name: "sign-in-refused", path: "/sign-in?error=identity_unknown&request_id=01m8kshs2s8yh08375fqwyb6ym", signedOut: true },
  { name: "register-closed", path: "/register", signedOut: true },
  { name: "keys", path: "/keys?sort=-used" },
  { name: "keys-empty", path: "/keys?q=no+such+key" },
  { name: "key-new", path: "/keys", act: (page) => page.locator("main header, main").getByRole("button").first().click() },
  {
    name: "key-value",
    path: "/keys",
    act: async (page) => {
      await atTop(page, 0);
      await dialog(page).getByRole("textbox").first().fill("Made for a look");
      await dialog(page).locator("button[type=submit]").click();
      await page.getByTestId("key-value").waitFor();
    },
  },
  { name: "key", path: "/keys/1?period=24h" },
  {
    name: "key-edit",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await atTop(page, 0);
      await dialog(page).waitFor();
    },
  },
  {
    name: "key-limits",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await atTop(page, 0);
      await dialog(page).locator('input[value="demo-embed"]').scrollIntoViewIfNeeded();
    },
  },
  { name: "key-long-word", path: "/keys/{token:checkout-recommendations}" },
  { name: "key-long-chinese", path: "/keys/{token:面向}" },
  {
    name: "key-rotate",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await atTop(page, 1);
      await dialog(page).waitFor();
    },
  },
  {
    name: "key-menu",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await atTop(page, 3);
      await page.getByRole("menu").waitFor();
    },
  },
  { name: "key-top-up", path: "/keys/1?period=24h", act: (page) => inMenu(page, 0) },
  {
    name: "key-verify",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await inMenu(page, 1);
      await dialog(page).locator("button[type=submit]").click();
      await dialog(page).locator("[aria-live=polite]").waitFor();
    },
  },
  {
    name: "key-verify-refused",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await inMenu(page, 1);
      await dialog(page).getByRole("combobox").first().fill("gpt-unknown");
      await dialog(page).locator("button[type=submit]").click();
      await dialog(page).locator("[aria-live=polite]").waitFor();
    },
  },
  { name: "key-delete", path: "/keys/1?period=24h", act: (page) => inMenu(page, 2) },
  {
    name: "key-issue",
    path: "/keys/1?period=24h",
    act: async (page) => {
      await page.getByRole("button", { name: /^(Issue a child key|签发子密钥)$/ }).click();
      await dialog(page).waitFor();
    },
  },
  { name: "key-child", path: "/keys/32?period=24h" },
  { name: "keys-children", path: "/keys?parent=1" },
  { name: "keys-of-another", path: "/keys?user=2" },
  { name: "key-of-another", path: "/keys/33?user=2" },
  { name: "overview", path: "/?period=24h" },
  { name: "overview-everybody", path: "/?who=all&by=owner" },
  { name: "usage", path: "/usage" },
  { name: "usage-empty", path: "/usage?request=no-such-request" },
  { name: "request", path: "/usage?model=claude-sonnet-4-5", act: firstRow },
  { name: "models", path: "/models" },
  { name: "model", path: "/models?q=gpt-4o", act: firstRow },
  { name: "playground", path: "/playground?model=demo-echo" },
  { name: "channels", path: "/channels" },
  { name: "channels-order", path: "/channels?view=order" },
  { name: "channel-new", path: "/channels", act: (page) => page.getByRole("button", { name: /^(New channel|新建渠道)$/ }).first().click() },
  {
    name: "channel-new-form",
    path: "/channels",
    act: async (page) => {
      await page.getByRole("button", { name: /^(New channel|新建渠道)$/ }).first().click();
      await dialog(page).getByRole("button", { name: "OpenAI", exact: false }).filter({ hasText: "api.openai.com" }).click();
    },
  },
  {
    name: "channels-test",
    path: "/channels",
    act: async (page) => {
      await page.getByRole("checkbox").first().check();
      await page.getByRole("button", { name: /^(Test|测试)$/ }).click();
      await dialog(page).locator("ul li").first().waitFor();
    },
  },
  { name: "channel", path: "/channels/1" },
  { name: "channel-broken", path: "/channels/{channel:Mirror in Virginia}" },
  { name: "channel-long", path: "/channels/{channel:面向}" },
  {
    name: "channel-edit",
    path: "/channels/{channel:OpenAI, Frankfurt}",
    act: async (page) => {
      await page.getByRole("button", { name: /^(Edit|编辑)$/ }).click();
      await dialog(page).waitFor();
    },
  },
  { name: "route-explainer", path: "/channels/explain?model=gpt-4o&key={token:Support assistant}" },
  { name: "groups", path: "/groups" },
  { name: "group", path: "/groups?group=default" },
  { name: "prices", path: "/prices" },
  { name: "price", path: "/prices?model=gpt-4o" },
  { name: "price-history", path: "/prices?tab=history" },
  {
    name: "price-rerate",
    path: "/prices?tab=rerate",
    act: (page) => page.getByRole("button", { name: /^(Work it out|计算)$/ }).click(),
  },
  { name: "users", path: "/users" },
  { name: "user", path: "/users/1" },
  { name: "user-long", path: "/users/{user:checkout-recommendations}" },
  { name: "user-new", path: "/users", act: (page) => page.getByRole("button", { name: /^(New user|新建用户)$/ }).click() },
  { name: "options", path: "/options" },
  { name: "audit", path: "/audit" },
  { name: "system", path: "/system", act: (page) => page.getByRole("button", { name: /^(Examine|检查)$/ }).click() },
  { name: "settings", path: "/settings" },
  { name: "settings-security", path: "/settings/security" },
  {
    name: "settings-enrolment",
    path: "/settings/security",
    act: async (page) => {
      await page.locator("main section").nth(1).getByRole("button").first().click();
      await page.getByRole("dialog").locator("svg[role=img]").waitFor();
    },
  },
  { name: "settings-tokens", path: "/settings/tokens" },
  { name: "settings-token-new", path: "/settings/tokens", act: (page) => page.locator("main button").first().click() },
  {
    name: "menu", // the navigation of a phone; at a desk it is always there
    path: "/models",
    act: async (page) => {
      const button = page.locator("header button").first();
      if (page.viewportSize().width < 1024) await button.click();
    },
  },
  { name: "not-found", path: "/no/such/page" },
];
