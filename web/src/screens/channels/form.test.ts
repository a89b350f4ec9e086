import { describe, expect, it } from "vitest";
import { bodyOf, changesOf, formOf, jsonOf, keysOf, newForm, type Saved } from "./form";

const saved: Saved = {
  id: 7,
  name: "main",
  kind: "openai",
  base_url: "https://api.example.com/v1",
  keys: ["1234", "5678"],
  models: ["gpt-4o", "gpt-5*"],
  model_mapping: { "gpt-4o": "deployment" },
  groups: ["default"],
  priority: 10,
  weight: 2,
  status: 1,
  tag: "eu",
  timeouts: { connect_ms: 0, first_byte_ms: 30_000, idle_ms: 0, total_ms: 0, drain_ms: 0 },
  on_disconnect: "cancel",
  api: "chat",
  probe: { mode: "models", model: "", every_s: 0 },
  azure: { api_version: "", authority: "", scope: "" },
  vertex: { project: "", location: "" },
  aws: { region: "" },
  proxy_url: "http://***@proxy.example.com:3128",
  ca_pem: "",
  overrides: {
    headers: { set: { "X-Team": "search" }, default: {}, remove: ["X-Debug"] },
    body: { set: { temperature: 0.5, user: "12" }, default: { "metadata.tags": ["a"] }, remove: [] },
  },
  caps: { concurrency: 4, rpm: 0, tpm: 0, queue_ms: 0 },
  created_time: 0,
  version: 3,
};

describe("the form of a channel", () => {
  it("sends nothing that was not changed", () => {
    expect(changesOf(formOf(saved), saved)).toEqual({});
  });
  it("says again what was saved, whole", () => {
    const { overrides, caps, timeouts, keys, proxy_url } = bodyOf(formOf(saved));
    expect({ overrides, caps, timeouts, keys, proxy_url }).toEqual({
      overrides: saved.overrides,
      caps: saved.caps,
      timeouts: saved.timeouts,
      keys: saved.keys,
      proxy_url: saved.proxy_url,
    });
  });
  it("sends the members that were changed, each as a whole", () => {
    const form = formOf(saved);
    form.kept = ["5678"];
    form.newKeys = "sk-new-1\n\n sk-new-2 \nsk-new-1";
    form.caps = { ...form.caps, concurrency: "", rpm: "1,200" };
    expect(changesOf(form, saved)).toEqual({
      keys: ["5678", "sk-new-1", "sk-new-2"],
      caps: { concurrency: 0, rpm: 1200, tpm: 0, queue_ms: 0 },
    });
  });
  it("leaves it to the server to refuse what is no number", () => {
    expect(changesOf({ ...formOf(saved), weight: "0,5" }, saved)).toEqual({ weight: "0,5" });
  });
  it("sends only what the kind has", () => {
    for (const [kind, own] of [
      ["azure", ["api", "azure"]],
      ["vertex", ["vertex"]],
      ["bedrock", ["aws"]],
      ["anthropic", []],
      ["openai", ["api"]],
    ] as const) {
      const body = bodyOf({ ...newForm(), kind });
      expect(["api", "azure", "vertex", "aws"].filter((name) => name in body)).toEqual(own);
    }
  });
  it("reads keys a line each, and a service account's file as one", () => {
    expect(keysOf(" a \nb\n")).toEqual(["a", "b"]);
    expect(keysOf('{\n"type": "service_account"\n}\n')).toEqual(['{\n"type": "service_account"\n}']);
  });
  it("takes JSON as JSON and anything else as text", () => {
    expect([jsonOf("0.5"), jsonOf('"0.5"'), jsonOf("search"), jsonOf("[1]")]).toEqual([0.5, "0.5", "search", [1]]);
  });
});
