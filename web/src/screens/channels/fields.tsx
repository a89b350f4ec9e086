import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ChevronRight, ListPlus } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { groupsQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { Combobox, TokenInput } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Form, useAsFilled } from "@/ui/form";
import { Checkbox, Input, Select, Textarea } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { bodyOf, type ChannelForm, changesOf, draftOf, formOf, newForm, type Saved } from "./form";
import { KeyFields } from "./key-fields";
import { OverrideFields } from "./override-fields";
import { More, Rows, Section } from "./parts";
import { channelsKey, channelsQuery, type Preset } from "./queries";
import { kinds } from "./search";
import { LiveTest } from "./test";

interface FieldsProps {
  channel: Saved | undefined;
  preset: Preset | undefined;
  onBack: (() => void) | undefined;
  onDone: (channel: Schemas["Channel"]) => void;
  onCancel: () => void;
}

/** The form of a channel. */
export function ChannelFields({ channel: current, preset, onBack, onDone, onCancel }: FieldsProps) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const groups = useQuery(groupsQuery);
  const channels = useQuery(channelsQuery);
  const channel = useAsFilled(current);
  const [form, setForm] = useState<ChannelForm>(() => (channel ? formOf(channel) : newForm(preset)));
  const set = (to: Partial<ChannelForm>) => setForm((now) => ({ ...now, ...to }));
  const draft = () => (channel ? { channel_id: channel.id, ...changesOf(form, channel) } : draftOf(form));

  const save = useMutation({
    mutationFn: () =>
      channel
        ? data(
            api.PATCH("/api/channel/{id}", {
              params: { path: { id: channel.id } },
              headers: { "If-Match": `"${channel.version}"` },
              body: changesOf(form, channel),
            }),
          )
        : data(api.POST("/api/channel/", { body: { ...bodyOf(form), models: form.models } })),
    onError: () => void queries.invalidateQueries({ queryKey: channelsKey }), // it may be another by now
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: channelsKey });
      toast(channel ? t("edit.done", { name: saved.name }) : t("new.done", { name: saved.name }));
      onDone(saved);
    },
  });
  const offered = useMutation({
    mutationFn: () => data(api.POST("/api/channel/models", { body: draft() })),
  });
  const offer = offered.data?.models ?? [];
  const fault = (...names: string[]) => errorOf(save.error, ...names) ?? errorOf(offered.error, ...names);
  const shown = shownFields;
  const unplaced = save.error instanceof ApiError && !(save.error.param && shown.has(root(save.error.param)));
  const tags = useMemo(
    () => [...new Set((channels.data ?? []).map((one) => one.tag).filter((tag) => tag !== ""))].sort(),
    [channels.data],
  );
  const publicNames = [...new Set([...form.models, ...form.mapping.map(({ from }) => from).filter(Boolean)])];
  const k = form.kind;
  return (
    <Form
      error={save.error}
      className="flex flex-col gap-6"
      onSubmit={(event) => {
        event.preventDefault();
        if (!save.isPending) save.mutate();
      }}
    >
      <Section title={t("section.connection")}>
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t("field.name")} required error={fault("name")}>
            <Input
              value={form.name}
              onChange={(event) => set({ name: event.target.value })}
              autoComplete="off"
              maxLength={100}
            />
          </Field>
          <Field label={t("field.kind")} error={fault("kind")}>
            <Select
              value={k}
              onChange={(event) => set({ kind: event.target.value as ChannelForm["kind"] })}
              options={kinds.map((kind) => ({ value: kind, label: t(`kind.${kind}`) }))}
            />
          </Field>
        </div>
        {k !== "demo" && (
          <Field
            label={t("field.baseUrl")}
            required
            error={fault("base_url")}
            help={k === "azure" || k === "vertex" || k === "bedrock" ? t(`help.baseUrl.${k}`) : undefined}
          >
            <Input
              type="url"
              value={form.baseUrl}
              onChange={(event) => set({ baseUrl: event.target.value })}
              placeholder={preset?.example || t("field.baseUrlHint")}
              autoComplete="off"
              spellCheck={false}
            />
          </Field>
        )}
        {k === "azure" && (
          <div className="grid gap-4 sm:grid-cols-3">
            <Field label={t("field.apiVersion")} error={fault("azure.api_version")}>
              <Input
                value={form.azure.api_version}
                placeholder="2024-10-21"
                onChange={(event) => set({ azure: { ...form.azure, api_version: event.target.value } })}
              />
            </Field>
            <Field label={t("field.authority")} error={fault("azure.authority")}>
              <Input
                value={form.azure.authority}
                placeholder="https://login.microsoftonline.com"
                onChange={(event) => set({ azure: { ...form.azure, authority: event.target.value } })}
              />
            </Field>
            <Field label={t("field.scope")} error={fault("azure.scope")}>
              <Input
                value={form.azure.scope}
                placeholder="https://cognitiveservices.azure.com/.default"
                onChange={(event) => set({ azure: { ...form.azure, scope: event.target.value } })}
              />
            </Field>
          </div>
        )}
        {k === "vertex" && (
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label={t("field.project")} help={t("help.project")} error={fault("vertex.project")}>
              <Input
                value={form.vertex.project}
                onChange={(event) => set({ vertex: { ...form.vertex, project: event.target.value } })}
              />
            </Field>
            <Field label={t("field.location")} help={t("help.location")} error={fault("vertex.location")}>
              <Input
                value={form.vertex.location}
                placeholder="global"
                onChange={(event) => set({ vertex: { ...form.vertex, location: event.target.value } })}
              />
            </Field>
          </div>
        )}
        {k === "bedrock" && (
          <Field label={t("field.region")} help={t("help.region")} error={fault("aws.region")}>
            <Input
              value={form.region}
              placeholder="us-east-1"
              onChange={(event) => set({ region: event.target.value })}
            />
          </Field>
        )}
        {k !== "demo" && <KeyFields form={form} set={set} optional={preset?.no_key ?? false} error={fault("keys")} />}
        {(k === "openai" || k === "azure") && (
          <Field label={t("field.api")} help={t("help.api")} error={fault("api")}>
            <Select
              value={form.api}
              onChange={(event) => set({ api: event.target.value as ChannelForm["api"] })}
              options={(["chat", "chat+responses", "responses"] as const).map((value) => ({
                value,
                label: t(`api.${value}`),
              }))}
            />
          </Field>
        )}
      </Section>

      <Section title={t("section.models")}>
        <Field
          label={t("field.models")}
          required
          help={t("help.models")}
          error={fault("models")}
          aside={
            <Button
              size="small"
              look="quiet"
              busy={offered.isPending}
              icon={<ListPlus aria-hidden className="size-3.5" />}
              onClick={() => offered.mutate()}
            >
              {t("models.fetch")}
            </Button>
          }
        >
          <TokenInput
            options={offer}
            values={form.models}
            onChange={(models) => set({ models })}
            placeholder={t("field.modelsHint")}
            noteFor={(value) => (value.includes("*") ? t("models.pattern") : undefined)}
          />
        </Field>
        {offered.data && (
          <p className="-mt-2 flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-soft" role="status">
            {t("models.found", { count: offer.length })}
            {offer.some((model) => !form.models.includes(model)) && (
              <Button size="small" onClick={() => set({ models: [...new Set([...form.models, ...offer])] })}>
                {t("models.addAll")}
              </Button>
            )}
          </p>
        )}
        {offered.error && !(offered.error instanceof ApiError && offered.error.param) ? (
          <Problem error={offered.error} />
        ) : null}
        <Field label={t("field.mapping")} help={t("help.mapping")} error={fault("model_mapping")} group>
          <Rows
            add={t("mapping.add")}
            onAdd={() => set({ mapping: [...form.mapping, { from: "", to: "" }] })}
            rows={form.mapping.map((line, i) => {
              const change = (to: Partial<typeof line>) =>
                set({ mapping: form.mapping.map((one, at) => (at === i ? { ...one, ...to } : one)) });
              return (
                // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
                <div key={i} className="grid flex-1 items-center gap-1.5 sm:grid-cols-[1fr_auto_1fr]">
                  <Combobox
                    aria-label={t("mapping.from")}
                    placeholder={t("mapping.from")}
                    options={publicNames}
                    value={line.from}
                    free
                    onChange={(from) => change({ from })}
                  />
                  <ChevronRight aria-hidden className="size-3.5 text-faint max-sm:hidden" />
                  <Combobox
                    aria-label={t("mapping.to")}
                    placeholder={t("mapping.to")}
                    options={offer}
                    value={line.to}
                    free
                    onChange={(to) => change({ to })}
                  />
                </div>
              );
            })}
            onRemove={(i) => set({ mapping: form.mapping.filter((_, at) => at !== i) })}
            removeLabel={common("action.remove")}
          />
        </Field>
      </Section>

      <Section title={t("section.routing")}>
        <Field label={t("field.groups")} required help={t("help.groups")} error={fault("groups")}>
          <TokenInput
            options={(groups.data ?? []).map((group) => ({ value: group.name, note: `×${group.ratio}` }))}
            values={form.groups}
            onChange={(groups) => set({ groups })}
          />
        </Field>
        <div className="grid gap-4 sm:grid-cols-3">
          <Field label={t("field.priority")} help={t("help.priority")} error={fault("priority")}>
            <Input
              inputMode="numeric"
              value={form.priority}
              onChange={(event) => set({ priority: event.target.value })}
            />
          </Field>
          <Field label={t("field.weight")} help={t("help.weight")} error={fault("weight")}>
            <Input inputMode="numeric" value={form.weight} onChange={(event) => set({ weight: event.target.value })} />
          </Field>
          <Field label={t("field.tag")} help={t("help.tag")} error={fault("tag")}>
            <Combobox options={tags} value={form.tag} free onChange={(tag) => set({ tag })} />
          </Field>
        </div>
        <Checkbox
          label={t("field.enabled")}
          help={t("help.enabled")}
          checked={form.enabled}
          onChange={(event) => set({ enabled: event.target.checked })}
        />
      </Section>

      <div className="flex flex-col divide-y border-y">
        <More title={t("section.limits")} open={Boolean(fault("caps", "timeouts", "on_disconnect"))}>
          <div className="grid gap-4 sm:grid-cols-2">
            {(["concurrency", "rpm", "tpm", "queue_ms"] as const).map((name) => (
              <Field key={name} label={t(`caps.${name}`)} error={fault(`caps.${name}`)}>
                <Input
                  inputMode="numeric"
                  placeholder={name === "queue_ms" ? "2000" : t("caps.none")}
                  value={form.caps[name]}
                  onChange={(event) => set({ caps: { ...form.caps, [name]: event.target.value } })}
                />
              </Field>
            ))}
          </div>
          <p className="text-xs text-soft">{t("help.caps")}</p>
          <div className="grid gap-4 sm:grid-cols-2">
            {(["connect_ms", "first_byte_ms", "idle_ms", "total_ms"] as const).map((name) => (
              <Field key={name} label={t(`timeouts.${name}`)} error={fault(`timeouts.${name}`)}>
                <Input
                  inputMode="numeric"
                  placeholder={t("timeouts.default")}
                  trail="ms"
                  value={form.timeouts[name]}
                  onChange={(event) => set({ timeouts: { ...form.timeouts, [name]: event.target.value } })}
                />
              </Field>
            ))}
            <Field label={t("field.onDisconnect")} help={t("help.onDisconnect")} error={fault("on_disconnect")}>
              <Select
                value={form.onDisconnect}
                onChange={(event) => set({ onDisconnect: event.target.value as ChannelForm["onDisconnect"] })}
                options={(["cancel", "drain"] as const).map((value) => ({ value, label: t(`onDisconnect.${value}`) }))}
              />
            </Field>
            {form.onDisconnect === "drain" && (
              <Field label={t("timeouts.drain_ms")} error={fault("timeouts.drain_ms")}>
                <Input
                  inputMode="numeric"
                  placeholder={t("timeouts.default")}
                  trail="ms"
                  value={form.timeouts.drain_ms}
                  onChange={(event) => set({ timeouts: { ...form.timeouts, drain_ms: event.target.value } })}
                />
              </Field>
            )}
          </div>
        </More>
        <More title={t("section.overrides")} count={form.overrides.length} open={Boolean(fault("overrides"))}>
          <OverrideFields
            lines={form.overrides}
            onChange={(overrides) => set({ overrides })}
            error={fault("overrides")}
          />
        </More>
        {k !== "demo" && (
          <More
            title={t("section.network")}
            open={Boolean(fault("proxy_url", "ca_pem"))}
            count={[form.proxyUrl, form.caPem].filter((one) => one !== "").length}
          >
            <Field label={t("field.proxy")} help={t("help.proxy")} error={fault("proxy_url")}>
              <Input
                value={form.proxyUrl}
                placeholder="socks5://proxy.example.com:1080"
                onChange={(event) => set({ proxyUrl: event.target.value })}
                autoComplete="off"
                spellCheck={false}
              />
            </Field>
            <Field label={t("field.ca")} help={t("help.ca")} error={fault("ca_pem")}>
              <Textarea
                rows={4}
                className="font-mono text-xs"
                placeholder="-----BEGIN CERTIFICATE-----"
                value={form.caPem}
                spellCheck={false}
                onChange={(event) => set({ caPem: event.target.value })}
              />
            </Field>
          </More>
        )}
        <More title={t("section.probe")} open={Boolean(fault("probe"))}>
          <p className="text-xs text-soft">{t("help.probe")}</p>
          <div className="grid gap-4 sm:grid-cols-3">
            <Field label={t("field.probeMode")} error={fault("probe.mode")}>
              <Select
                value={form.probe.mode}
                onChange={(event) =>
                  set({ probe: { ...form.probe, mode: event.target.value as ChannelForm["probe"]["mode"] } })
                }
                options={(["off", "models", "request"] as const).map((value) => ({
                  value,
                  label: t(`probe.${value}`),
                }))}
              />
            </Field>
            {form.probe.mode === "request" && (
              <Field label={t("field.probeModel")} error={fault("probe.model")}>
                <Combobox
                  options={form.models.filter((model) => !model.includes("*"))}
                  value={form.probe.model}
                  free
                  onChange={(model) => set({ probe: { ...form.probe, model } })}
                />
              </Field>
            )}
            {form.probe.mode !== "off" && (
              <Field label={t("field.probeEvery")} error={fault("probe.every_s")}>
                <Input
                  inputMode="numeric"
                  placeholder="60"
                  trail="s"
                  value={form.probe.every}
                  onChange={(event) => set({ probe: { ...form.probe, every: event.target.value } })}
                />
              </Field>
            )}
          </div>
        </More>
      </div>

      <Section title={t("section.test")}>
        <p className="-mt-2 text-xs text-soft">{t("help.test")}</p>
        <LiveTest models={[...form.models, ...offer]} of={{ draft }} />
      </Section>

      {unplaced && <Problem error={save.error} />}
      {save.error && !(save.error instanceof ApiError) ? <Problem error={save.error} /> : null}
      {save.error && !unplaced ? (
        <p role="alert" className="text-sm text-bad">
          {t("edit.seeAbove")}
        </p>
      ) : null}
      <div className="sticky -bottom-6 -mx-5 -mb-6 flex flex-wrap justify-end gap-2 border-t bg-raised px-5 py-3">
        {onBack && (
          <Button look="quiet" className="mr-auto" onClick={onBack}>
            {t("new.back")}
          </Button>
        )}
        <Button onClick={onCancel}>{common("action.cancel")}</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {channel ? common("action.save") : common("action.create")}
        </Button>
      </div>
    </Form>
  );
}

const root = (param: string) => param.split(/[.[]/)[0] ?? param;

/** The members of the body that have a field of their own to say what is wrong. */
const shownFields: ReadonlySet<string> = new Set([
  "name",
  "kind",
  "base_url",
  "keys",
  "models",
  "model_mapping",
  "groups",
  "priority",
  "weight",
  "tag",
  "azure",
  "vertex",
  "aws",
  "api",
  "caps",
  "timeouts",
  "on_disconnect",
  "overrides",
  "proxy_url",
  "ca_pem",
  "probe",
]);
