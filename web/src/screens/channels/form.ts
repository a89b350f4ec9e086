import type { Schemas } from "@/api/client";
import { withoutGroups } from "@/format/money";
import type { Preset } from "./queries";
import type { Kind } from "./search";

export type Body = Schemas["NewChannelBody"];
export type Saved = Schemas["Channel"];

/** One line of what is changed in each request. */
export interface Override {
  part: "headers" | "body";
  how: "set" | "default" | "remove";
  name: string;
  value: string;
}

export interface Mapping {
  from: string;
  to: string;
}

/** A channel as it is typed. Numbers are text, empty for the default. */
export interface ChannelForm {
  name: string;
  kind: Kind;
  baseUrl: string;
  /** The last characters of upstream keys that stay. */
  kept: string[];
  newKeys: string;
  models: string[];
  mapping: Mapping[];
  groups: string[];
  priority: string;
  weight: string;
  tag: string;
  enabled: boolean;
  api: Saved["api"];
  azure: Saved["azure"];
  vertex: Saved["vertex"];
  region: string;
  timeouts: Record<keyof Saved["timeouts"], string>;
  onDisconnect: Saved["on_disconnect"];
  caps: Record<keyof Saved["caps"], string>;
  probe: { mode: Saved["probe"]["mode"]; model: string; every: string };
  proxyUrl: string;
  caPem: string;
  overrides: Override[];
}

const none = (value: number) => (value === 0 ? "" : String(value));

export function formOf(channel: Saved): ChannelForm {
  const { timeouts, caps, probe, overrides } = channel;
  const lines: Override[] = [];
  for (const part of ["headers", "body"] as const) {
    for (const how of ["set", "default"] as const) {
      for (const [name, value] of Object.entries(overrides[part][how] ?? {})) {
        lines.push({ part, how, name, value: part === "headers" ? String(value) : JSON.stringify(value) });
      }
    }
    for (const name of overrides[part].remove ?? []) lines.push({ part, how: "remove", name, value: "" });
  }
  return {
    name: channel.name,
    kind: channel.kind,
    baseUrl: channel.base_url,
    kept: channel.keys,
    newKeys: "",
    models: channel.models,
    mapping: Object.entries(channel.model_mapping).map(([from, to]) => ({ from, to })),
    groups: channel.groups,
    priority: String(channel.priority),
    weight: String(channel.weight),
    tag: channel.tag,
    enabled: channel.status === 1,
    api: channel.api,
    azure: channel.azure,
    vertex: channel.vertex,
    region: channel.aws.region,
    timeouts: {
      connect_ms: none(timeouts.connect_ms),
      first_byte_ms: none(timeouts.first_byte_ms),
      idle_ms: none(timeouts.idle_ms),
      total_ms: none(timeouts.total_ms),
      drain_ms: none(timeouts.drain_ms),
    },
    onDisconnect: channel.on_disconnect,
    caps: {
      concurrency: none(caps.concurrency),
      rpm: none(caps.rpm),
      tpm: none(caps.tpm),
      queue_ms: none(caps.queue_ms),
    },
    probe: { mode: probe.mode, model: probe.model, every: none(probe.every_s) },
    proxyUrl: channel.proxy_url,
    caPem: channel.ca_pem,
    overrides: lines,
  };
}

/** A channel about which nothing is said yet. */
export function newForm(preset?: Preset): ChannelForm {
  return {
    name: preset?.name ?? "",
    kind: preset?.kind ?? "openai",
    baseUrl: preset?.base_url ?? "",
    kept: [],
    newKeys: "",
    models: preset?.models ?? [],
    mapping: [],
    groups: ["default"],
    priority: "0",
    weight: "1",
    tag: "",
    enabled: true,
    api: preset?.id === "openai" ? "chat+responses" : "chat",
    azure: { api_version: "", authority: "", scope: "" },
    vertex: { project: "", location: "" },
    region: "",
    timeouts: { connect_ms: "", first_byte_ms: "", idle_ms: "", total_ms: "", drain_ms: "" },
    onDisconnect: "cancel",
    caps: { concurrency: "", rpm: "", tpm: "", queue_ms: "" },
    probe: { mode: "off", model: "", every: "" },
    proxyUrl: "",
    caPem: "",
    overrides: [],
  };
}

/** Upstream keys as typed: one a line, but a service account's JSON as a whole. */
export function keysOf(text: string): string[] {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) return [trimmed];
  return [...new Set(trimmed.split("\n").map((line) => line.trim()))].filter((line) => line !== "");
}

/** Any JSON as typed; what is none is text. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What is no number goes to the server as it is, which says so; 0 would be something else than was meant. */
const number = (text: string) => {
  const value = Number(withoutGroups(text));
  return Number.isFinite(value) ? value : (text.trim() as unknown as number);
};

function numbers<Name extends string>(of: Record<Name, string>): Record<Name, number> {
  return Object.fromEntries(Object.entries<string>(of).map(([name, text]) => [name, number(text)])) as Record<
    Name,
    number
  >;
}

/** Everything that the form says, for the API. */
export function bodyOf(form: ChannelForm): Body {
  const lists = (part: Override["part"]) => {
    const lines = form.overrides.filter((line) => line.part === part && line.name.trim() !== "");
    const some = (how: "set" | "default") =>
      Object.fromEntries(
        lines
          .filter((line) => line.how === how)
          .map((line) => [line.name.trim(), part === "headers" ? line.value : jsonOf(line.value)]),
      );
    return {
      set: some("set"),
      default: some("default"),
      remove: lines.filter((line) => line.how === "remove").map((line) => line.name.trim()),
    };
  };
  const asked = form.kind === "openai" || form.kind === "azure";
  return {
    name: form.name.trim(),
    kind: form.kind,
    base_url: form.kind === "demo" ? "" : form.baseUrl.trim(),
    keys: form.kind === "demo" ? form.kept : [...form.kept, ...keysOf(form.newKeys)],
    models: form.models,
    model_mapping: Object.fromEntries(
      form.mapping.filter(({ from }) => from.trim() !== "").map(({ from, to }) => [from.trim(), to.trim()]),
    ),
    groups: form.groups,
    priority: number(form.priority),
    weight: number(form.weight),
    tag: form.tag.trim(),
    status: form.enabled ? 1 : 2,
    ...(asked && { api: form.api }),
    ...(form.kind === "azure" && { azure: form.azure }),
    ...(form.kind === "vertex" && { vertex: form.vertex }),
    ...(form.kind === "bedrock" && { aws: { region: form.region } }),
    timeouts: numbers(form.timeouts),
    on_disconnect: form.onDisconnect,
    caps: numbers(form.caps),
    probe: { mode: form.probe.mode, model: form.probe.model.trim(), every_s: number(form.probe.every) },
    proxy_url: form.proxyUrl.trim(),
    ca_pem: form.caPem,
    overrides: {
      headers: lists("headers") as { set: Record<string, string>; default: Record<string, string>; remove: string[] },
      body: lists("body"),
    },
  };
}

/** What is tried out: names and models may still be missing. */
export function draftOf(form: ChannelForm): Body {
  const { name, models, ...rest } = bodyOf(form);
  return { ...rest, ...(name && { name }), ...(models && models.length > 0 && { models }) };
}

/** What the form says that the saved channel does not. */
export function changesOf(form: ChannelForm, saved: Saved): Body {
  const now = bodyOf(form);
  const before = bodyOf(formOf(saved));
  const changed = Object.entries(now).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name as keyof Body]),
  );
  return Object.fromEntries(changed) as Body;
}
