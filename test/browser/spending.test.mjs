// What was spent, and how one tries things out: overview, requests, models and
// playground, told in the console and held against the API and real requests.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { accessible, ask, base, management, open, required, sessionOf, start, stop, until } from "./browser.mjs";

const says = required("HALLEY_SAYS");
const image = Buffer.from(required("HALLEY_IMAGE"), "base64");

let cookies;
let root; // the API as root
before(async () => {
  await start();
  cookies = await sessionOf();
  root = management(cookies);
});
after(stop);

const day = 86_400;
const recordOf = (id) => until(`the record of ${id}`, async () => (await root("GET", `/api/log/self?request_id=${id}`)).items[0]);
const dollars = (text) => Number(/\$([\d.,]+)/.exec(text)[1].replaceAll(",", ""));
const near = (a, b, what) => assert.ok(Math.abs(a - b) <= Math.abs(b) * 0.006, `${what}: ${a}, not ${b}`); // three digits are shown

/** Chooses from a field that suggests. */
async function choose(field, text, option = text) {
  await field.fill(text);
  await field.page().getByRole("option", { name: option }).first().click();
}

test("the overview tells what was spent, beside the period before, by model and by key, and what needs a look", async () => {
  const soon = Math.floor(Date.now() / 1000) + 2 * day;
  await root("POST", "/api/token/", { name: "Ends soon", unlimited_quota: true, expired_time: soon });
  for (const [name, left] of [["All gone", 0], ["Nearly gone", 5]]) {
    const key = await root("POST", "/api/token/", { name, remain_quota: 50_000 });
    assert.equal(await ask(key.key), 200);
    await root("PUT", "/api/token/", { id: key.id, remain_quota: left });
  }
  const { page, quiet, close } = await open({ cookies });
  await page.goto(base);
  const figure = (name) => page.getByRole("main").locator("div").getByText(name, { exact: true }).first().locator("xpath=..");
  const now = Math.floor(Date.now() / 1000);
  const week = await until("the records", async () => {
    const sums = await root("GET", `/api/log/self/stat?from=${now - 6 * day}&to=${now + 60}`);
    return sums.requests >= 26 && sums;
  });
  assert.equal(week.requests, 26);
  const requests = await until("the comparison", async () => {
    const text = await figure("Requests").textContent();
    return text.includes("%") && text;
  });
  assert.match(requests, /^Requests26550%/, "26 requests are 550 % more than the 4 of the week before");
  near(dollars(await figure("Spend").getByText("$").textContent()), week.usd, "spend");
  await page.getByRole("img", { name: /Spend over time/ }).or(page.locator("canvas")).first().waitFor();

  const top = (name) => page.getByRole("table", { name }).or(page.locator("section").filter({ has: page.getByRole("heading", { name, exact: true }) }).getByRole("table"));
  const echo = top("Top models").getByRole("row").filter({ hasText: "demo-echo" });
  near(dollars(await echo.textContent()), week.usd, "the model's spend"); // the only one that cost
  await page.getByRole("radio", { name: "Key", exact: true }).click();
  await page.waitForURL(/by=owner/);
  near(dollars(await top("Top keys").getByRole("row").filter({ hasText: "Search backend" }).textContent()), (week.usd * 21) / 23, "the key's spend");

  await page.getByRole("button", { name: /^Period: / }).click();
  await page.getByRole("button", { name: "Last 30 days" }).click();
  await page.waitForURL(/period=30d/);
  await top("Top keys").getByRole("row").filter({ hasText: "A week ago" }).waitFor();
  await page.reload();
  await top("Top keys").getByRole("row").filter({ hasText: "A week ago" }).waitFor();
  assert.equal(await page.getByRole("radio", { name: "Key", exact: true }).getAttribute("aria-checked"), "true", "the address keeps what was chosen");

  const { items } = await root("GET", "/api/token/?keyword=Search");
  const [budget] = items.find(({ name }) => name === "Search backend").limits.budgets.filter(({ period }) => period === "day");
  const bar = page.getByRole("listitem").filter({ hasText: /^Search backend.* a day/ });
  const share = await bar.getByRole("meter", { name: "Search backend" }).getAttribute("aria-valuenow");
  assert.ok(budget.used > 0 && Math.abs(Number(share) - budget.used / budget.amount) <= 0.001, `the budget's bar: ${share}`);
  await bar.getByText(/^Renews /).waitFor();
  const attention = page.locator("section").filter({ has: page.getByRole("heading", { name: "Needs attention" }) });
  const line = (name) => attention.getByRole("listitem").filter({ has: page.getByRole("link", { name, exact: true }) });
  await line("All gone").getByText("Exhausted").waitFor();
  await line("Nearly gone").getByText("$0.00001 left").waitFor();
  await line("Ends soon").getByText(/^Expires in (2 days|4\d hours)$/).waitFor();
  await accessible(page, "overview");

  await page.getByRole("link", { name: "demo-echo" }).click();
  await page.waitForURL(/\/usage\?model=demo-echo/);
  quiet();
  await close();
});

test("requests are narrowed in the address, and each tells everything that was recorded", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/usage`);
  const shown = (total) => page.getByText(new RegExp(`^${total} requests? · `)).waitFor();
  await shown(26);
  await page.getByRole("combobox", { name: "Status" }).selectOption({ label: "Errors only" });
  await page.waitForURL(/errors=true/);
  await shown(3);
  await page.getByRole("combobox", { name: "Status" }).selectOption({ label: "200 OK" });
  await page.waitForURL(/status=200/);
  await shown(23);
  await choose(page.getByRole("combobox", { name: "Model" }), "demo-echo");
  await page.waitForURL(/model=demo-echo/);
  await choose(page.getByRole("combobox", { name: "Key" }), "Search", /Search backend/);
  await page.waitForURL(/key=\d+/);
  await shown(21);
  await page.reload();
  await shown(21);

  const { items } = await root("GET", "/api/log/self?model=demo-echo&status=200&page_size=100");
  const row = items.find(({ key_name }) => key_name === "Search backend");
  await page.getByRole("searchbox", { name: "Request id" }).fill(row.request_id);
  await page.waitForURL(/request=/);
  await page.getByText("1–1 of 1").waitFor();
  await page.getByRole("row").nth(1).getByRole("button").click();
  const panel = page.getByRole("dialog", { name: /demo-echo/ });
  const text = (await panel.innerText()).replaceAll(/\s+/g, " ");
  const number = new Intl.NumberFormat("en-US");
  const facts = {
    "Request id": row.request_id,
    Input: number.format(row.prompt_tokens),
    Output: number.format(row.completion_tokens),
    Price: row.price_version,
    Key: row.key_name,
    Group: row.group,
    "Served model": row.served_model,
    Address: row.ip,
    Attempts: String(row.attempts),
    Dialect: `${row.dialect} · ${row.endpoint}`,
    Answer: "In one piece",
  };
  for (const [name, value] of Object.entries(facts)) assert.ok(text.includes(`${name} ${value}`), `${name} ${value} in ${text}`);
  near(dollars(/Charged \S+/.exec(text)[0]), row.usd, "what was charged");
  near(dollars(/Held before the request \S+/.exec(text)[0]), Number(row.held) / 500_000, "what was held");
  near(dollars(/Given back \S+/.exec(text)[0]), Number(row.held) / 500_000 - row.usd, "what was given back");
  await accessible(page, "a request");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Reset filters" }).click();
  await shown(26);
  assert.equal(new URL(page.url()).search, "");
  quiet();
  await close();
});

test("an export is what the API lists, as CSV and as JSON, and is called off", async () => {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/usage?status=200&period=30d`);
  await page.getByText(/^\d+ requests · /).waitFor();
  const { items, total } = await root("GET", `/api/log/self?status=200&page_size=100`);
  assert.equal(items.length, total);
  const exported = async (kind) => {
    await page.getByRole("button", { name: "Export" }).click();
    const downloading = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: kind }).click();
    const download = await downloading;
    assert.match(download.suggestedFilename(), /^halley-usage-.*\.(csv|json)$/);
    await page.getByRole("dialog").waitFor({ state: "detached" });
    return readFile(await download.path(), "utf8");
  };
  assert.deepEqual(JSON.parse(await exported("As JSON")), items);

  const lines = (await exported("As CSV, for spreadsheets")).trim().split(/\r?\n/);
  const head = lines[0].split(",");
  assert.equal(lines.length, items.length + 1);
  items.forEach((item, i) => {
    const cells = lines[i + 1].split(","); // no name here has a comma
    const told = Object.fromEntries(head.map((name, at) => [name, cells[at]]));
    for (const name of ["request_id", "model", "key_name", "status", "prompt_tokens", "completion_tokens", "price_version"])
      assert.equal(told[name], String(item[name]), `${name} in line ${i + 1}`);
    assert.equal(Number(told.usd), item.usd);
  });

  await page.route("**/api/log/self/export*", () => {}); // one that does not come
  await page.getByRole("button", { name: "Export" }).click();
  const given = page.waitForEvent("requestfailed", (request) => request.url().includes("/export"));
  await page.getByRole("menuitem", { name: "As JSON" }).click();
  const dialog = page.getByRole("dialog", { name: "Exporting requests" });
  await dialog.getByRole("progressbar").waitFor({ state: "attached" });
  await accessible(page, "an export");
  let saved = false;
  page.on("download", () => (saved = true));
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.match((await given).failure().errorText, /ABORTED/, "the server is told");
  assert.equal(saved, false);
  quiet();
  await close();
});

test("the catalog lists what the API offers, with prices and limits, and leads to the playground", async () => {
  const offers = await root("GET", "/api/user/self/catalog");
  const offer = offers.find(({ model }) => model === "questions");
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/models`);
  await page.getByText(new RegExp(`^${offers.length} models?$`)).waitFor();
  for (const { model } of offers) await page.getByRole("button", { name: model, exact: true }).waitFor();
  await page.getByRole("searchbox").fill("questions");
  await page.waitForURL(/q=questions/);
  await page.getByText("1 model", { exact: true }).waitFor();
  await page.getByRole("button", { name: "questions", exact: true }).click();
  const panel = page.getByRole("dialog", { name: /questions/ });
  const text = (await panel.innerText()).replaceAll(/\s+/g, " ");
  for (const said of ["Input $3.00", "Output $15.00", offer.price.version, "default", "Max output 1,000"]) assert.ok(text.includes(said), `${said} in ${text}`);
  await panel.getByRole("link", { name: "Try it in the playground" }).click();
  await page.waitForURL(/\/playground\?model=questions/);
  assert.equal(await page.getByRole("combobox", { name: "Model" }).inputValue(), "questions");
  quiet();
  await close();
});

/** A page at the playground, and what is done there. */
async function playground(model, key) {
  const { page, quiet, close } = await open({ cookies });
  await page.goto(`${base}/playground?model=${model}&key=${key.id}`);
  await page.getByRole("combobox", { name: "Charged to" }).and(page.locator(`[value="${key.name}"]`)).waitFor();
  const answers = [];
  page.on("response", (response) => {
    if (/\/v1(beta)?\//.test(response.url())) answers.push(response);
  });
  return {
    page,
    close: async () => {
      quiet();
      await close();
    },
    say: async (text) => {
      await page.getByRole("textbox", { name: "Message" }).fill(text);
      await page.getByRole("button", { name: "Send", exact: true }).click();
    },
    /** Waits for the end of an answer, and gives what was recorded of it. */
    ended: async () => {
      await page.getByRole("link", { name: "Everything recorded" }).waitFor();
      return recordOf(await answers.at(-1).headerValue("X-Request-Id"));
    },
    said: () => page.locator("[aria-busy=false]").filter({ has: page.getByText("Model", { exact: true }) }).innerText(),
    code: (language) => page.getByRole("region", { name: `Code for ${language}` }).locator("pre").textContent(),
    body: () => answers.at(-1).request().postDataJSON(),
  };
}

/** Runs a program as it stands in the console; gives all the texts of its answer. */
async function run(program, ...args) {
  const { key, code } = args[0];
  const { stdout } = await promisify(execFile)(program, [...args.slice(1), code], { env: { ...process.env, HALLEY_API_KEY: key.key }, timeout: 20_000 });
  return [...stdout.matchAll(/"(?:text|content|delta)":\s*("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text)).join("");
}

test("the playground asks in each dialect, streamed and whole, charges the key, and its code does the same", async () => {
  const key = await root("POST", "/api/token/", { name: "Player", remain_quota: 50_000_000 });
  const play = await playground("questions", key);
  const { page } = play;
  let charged = 0;
  for (const [dialect, label] of Object.entries({ chat: "Chat", responses: "Responses", messages: "Messages", gemini: "Gemini" })) {
    await page.getByRole("combobox", { name: "Dialect" }).selectOption({ label });
    for (const streamed of [true, false]) {
      await page.getByRole("checkbox", { name: "Stream the answer" }).setChecked(streamed);
      await play.say(`In ${dialect}, please.`);
      const record = await play.ended();
      assert.ok((await play.said()).includes(says), `${dialect}: ${await play.said()}`);
      assert.deepEqual([record.endpoint, record.stream, record.status, record.key_id], [dialect, streamed, 200, key.id]);
      charged += record.usd;
      const shown = page.getByText("Cost", { exact: true }).locator("xpath=..");
      near(dollars(await until("the cost", async () => /\$/.test(await shown.textContent()) && shown.textContent())), record.usd, "the cost shown");
      const told = await run("bash", { key, code: await play.code("curl") }, "-c");
      assert.ok(told.includes(says), `curl in ${dialect}: ${told}`);
      charged += record.usd; // the same again
      if (dialect === "messages" && streamed) {
        await page.getByRole("tab", { name: "Node" }).click();
        const node = await run(process.execPath, { key, code: await play.code("Node") }, "--input-type=module", "-e");
        assert.ok(node.includes(says), node);
        charged += record.usd;
        await page.getByRole("tab", { name: "curl" }).click();
      }
      await page.getByRole("button", { name: "Start over" }).click();
    }
  }
  const { used_quota } = await until("what the key has spent", async () => {
    const now = await root("GET", `/api/token/${key.id}`);
    return now.used_quota >= Math.floor(charged * 500_000) && now;
  });
  near(used_quota / 500_000, charged, "the key is charged");
  await play.close();
});

test("the playground goes a round with tools, shows an image, and sends parameters", async () => {
  const key = await root("POST", "/api/token/", { name: "Tool user", unlimited_quota: true });
  const play = await playground("questions", key);
  const { page } = play;
  const tools = page.getByRole("textbox", { name: "Tools" });
  await tools.fill("no tools");
  await page.getByText("This is no JSON list of tools, each with a name.").waitFor();
  const tool = (name, property) => ({ name, parameters: { type: "object", properties: { [property]: { type: "string" } } } });
  await tools.fill(JSON.stringify([tool("get_weather", "city"), tool("get_time", "zone")]));
  for (const label of ["Chat", "Responses", "Messages", "Gemini"]) {
    await page.getByRole("combobox", { name: "Dialect" }).selectOption({ label });
    await play.say("[tools] What is it like in Zürich?");
    const weather = page.getByRole("textbox", { name: "What get_weather returns" });
    await weather.waitFor();
    await page.getByText(/get_weather\(\{"city":"Zürich","days":3\}\)/).waitFor();
    if (label === "Chat") await accessible(page, "a tool's result that is due");
    await weather.fill("21 degrees");
    await page.getByRole("button", { name: "Send the result" }).first().click();
    await page.getByRole("textbox", { name: "What get_time returns" }).fill("noon");
    await page.getByRole("button", { name: "Send the result" }).first().click();
    await page.getByText(says).waitFor(); // it looked at both results
    await page.getByRole("button", { name: "Start over" }).click();
  }
  await tools.fill("");

  for (const label of ["Chat", "Responses", "Messages", "Gemini"]) {
    await page.getByRole("combobox", { name: "Dialect" }).selectOption({ label });
    await page.locator("input[type=file]").setInputFiles({ name: "pixel.png", mimeType: "image/png", buffer: image });
    await page.getByRole("img", { name: "Image 1" }).waitFor();
    await play.say("[image] What is this?");
    await page.getByText(says).waitFor(); // it was this very image
    await page.getByRole("button", { name: "Start over" }).click();
  }

  await choose(page.getByRole("combobox", { name: "Model" }), "demo-echo");
  await page.getByRole("combobox", { name: "Dialect" }).selectOption({ label: "Chat" });
  await page.getByRole("textbox", { name: "Instructions" }).fill("Be short.");
  for (const [name, value] of [["Temperature", "0.3"], ["Top P", "0.8"], ["Max tokens", "5"]]) await page.getByRole("spinbutton", { name }).fill(value);
  await play.say("Tell me about comets.");
  const { completion_tokens } = await play.ended();
  assert.equal(completion_tokens, 5, "no more than was asked for");
  const { temperature, top_p, max_completion_tokens, messages } = play.body();
  assert.deepEqual([temperature, top_p, max_completion_tokens, messages[0]], [0.3, 0.8, 5, { role: "system", content: "Be short." }]);
  await play.close();
});

test("an answer is stopped in mid-stream, and what came is kept and charged; a refusal is told", async () => {
  const key = await root("POST", "/api/token/", { name: "Impatient", remain_quota: 5_000_000, model_limits_enabled: true, model_limits: "questions" });
  const play = await playground("questions", key);
  const { page } = play;
  await play.say("[forever] Go on.");
  await page.getByText(/2061.*2061/s).first().waitFor();
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  const record = await play.ended();
  assert.deepEqual([record.status, record.stream], [499, true]);
  assert.ok(record.completion_tokens > 0 && record.usd > 0, JSON.stringify(record));
  assert.match(await play.said(), /2061/);
  const { used_quota } = await root("GET", `/api/token/${key.id}`);
  near(used_quota / 500_000, record.usd, "the key is charged for what came");
  await page.getByRole("link", { name: "Everything recorded" }).click();
  await page.waitForURL(/\/usage\?request=/);
  await page.getByRole("row").filter({ hasText: "499" }).waitFor();

  await page.goto(`${base}/playground?model=demo-echo&key=${key.id}`);
  await play.say("Hello");
  const alert = page.getByRole("main").getByRole("alert");
  await alert.waitFor();
  assert.match(await alert.textContent(), /demo-echo.*Request \w+/s);
  assert.notEqual(await ask(key.key), 200, "as any program is told");
  await play.close();
});
