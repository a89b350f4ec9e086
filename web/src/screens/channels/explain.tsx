import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { CircleCheck, CircleX } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Input, Segments, Select } from "@/ui/input";
import { Card, Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Empty, Skeleton } from "@/ui/states";
import { channelsKey, channelsQuery } from "./queries";
import type { ExplainSearch } from "./search";
import { StateBadge } from "./status";

const route = getRouteApi("/app/admin/channels/explain");
const endpoints = [
  "chat",
  "responses",
  "messages",
  "gemini",
  "embeddings",
  "images",
  "audio",
  "rerank",
  "moderations",
  "videos",
  "realtime",
] as const;

/** Where a request with somebody's key would go, and why. */
export function ExplainScreen() {
  const { t } = useTranslation("channels");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [by, setBy] = useState<"id" | "value">("id");
  const [id, setId] = useState(search.key ? String(search.key) : "");
  const [model, setModel] = useState(search.model ?? "");
  const [endpoint, setEndpoint] = useState(search.endpoint ?? "");
  const [ip, setIp] = useState(search.ip ?? "");
  const [value, setValue] = useState("");
  // A key's value stays out of the address.
  const [asked, setAsked] = useState<{ value: string; n: number }>();
  const channels = useQuery(channelsQuery);
  const keys = useQuery({
    queryKey: [...channelsKey, "keys", id],
    queryFn: ({ signal }) =>
      data(api.GET("/api/token/", { signal, params: { query: { keyword: id, p: 1, page_size: 20 } } })),
  });
  const models = useMemo(
    () =>
      [
        ...new Set((channels.data ?? []).flatMap((channel) => channel.models).filter((name) => !name.includes("*"))),
      ].sort(),
    [channels.data],
  );
  const ready = Boolean(search.model && (asked ? asked.value : search.key));
  const explanation = useQuery({
    queryKey: [...channelsKey, "explain", search, asked?.n],
    enabled: ready,
    placeholderData: undefined,
    queryFn: ({ signal }) =>
      data(
        api.POST("/api/route/explain", {
          signal,
          body: {
            model: search.model ?? "",
            ...(asked ? { key: asked.value } : { key_id: search.key ?? 0 }),
            ...(search.endpoint && { endpoint: search.endpoint as (typeof endpoints)[number] }),
            ...(search.ip && { ip: search.ip }),
          },
        }),
      ),
  });
  const ask = (event: FormEvent) => {
    event.preventDefault();
    setAsked(by === "value" ? { value: value.trim(), n: Date.now() } : undefined);
    const to: ExplainSearch = {
      ...(model.trim() && { model: model.trim() }),
      ...(by === "id" && Number(id) > 0 && { key: Number(id) }),
      ...(endpoint && { endpoint }),
      ...(ip.trim() && { ip: ip.trim() }),
    };
    void navigate({ search: to, replace: true });
  };
  const fault = explanation.error;
  return (
    <Page
      title={t("explain.title")}
      description={t("explain.help")}
      above={
        <Link to="/channels" className="hover:underline">
          {t("title")}
        </Link>
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-[22rem_1fr]">
        <Card>
          <form className="flex flex-col gap-4" onSubmit={ask}>
            <Field
              label={t("explain.key")}
              error={errorOf(fault, "key_id", "key")}
              help={by === "id" ? t("explain.keyHelp") : t("explain.valueHelp")}
              aside={
                <Segments
                  label={t("explain.by")}
                  value={by}
                  onChange={setBy}
                  options={(["id", "value"] as const).map((one) => ({ value: one, label: t(`explain.by_${one}`) }))}
                />
              }
            >
              {by === "id" ? (
                <Combobox
                  options={(keys.data?.items ?? []).map((key) => ({
                    value: String(key.id),
                    label: `${key.name} · ${key.id}`,
                  }))}
                  value={id}
                  free
                  onChange={setId}
                  placeholder="12"
                />
              ) : (
                <Input
                  type="password"
                  value={value}
                  placeholder="sk-…"
                  autoComplete="off"
                  onChange={(event) => setValue(event.target.value)}
                />
              )}
            </Field>
            <Field label={t("explain.model")} required error={errorOf(fault, "model")}>
              <Combobox options={models} value={model} free onChange={setModel} placeholder="gpt-4o" />
            </Field>
            <Field label={t("explain.endpoint")} error={errorOf(fault, "endpoint")}>
              <Select
                value={endpoint}
                onChange={(event) => setEndpoint(event.target.value)}
                options={[
                  { value: "", label: t("explain.any") },
                  ...endpoints.map((one) => ({ value: one, label: one })),
                ]}
              />
            </Field>
            <Field label={t("explain.ip")} error={errorOf(fault, "ip")} help={t("explain.ipHelp")}>
              <Input value={ip} placeholder="203.0.113.7" onChange={(event) => setIp(event.target.value)} />
            </Field>
            <Button
              type="submit"
              look="primary"
              busy={explanation.isFetching}
              disabled={!model.trim() || (by === "id" ? !(Number(id) > 0) : !value.trim())}
            >
              {t("explain.ask")}
            </Button>
          </form>
        </Card>
        <div className="flex min-w-0 flex-col gap-4" aria-live="polite">
          <Problem error={fault} retry={isOurs(fault) ? undefined : () => void explanation.refetch()} />
          {explanation.data ? (
            <Answer of={explanation.data} />
          ) : explanation.isFetching ? (
            <>
              <Skeleton className="h-16" />
              <Skeleton className="h-40" />
            </>
          ) : (
            !fault && (
              <Card>
                <Empty title={t("explain.none")}>{t("explain.noneHelp")}</Empty>
              </Card>
            )
          )}
        </div>
      </div>
    </Page>
  );
}

/** Whether it is what was asked for that is at fault: asking it again changes nothing. */
function isOurs(fault: unknown): boolean {
  return fault instanceof ApiError && fault.status >= 400 && fault.status < 500;
}

function Answer({ of }: { of: Schemas["Explanation"] }) {
  const { t } = useTranslation("channels");
  const { t: groups } = useTranslation("groups");
  const format = useFormat();
  const Icon = of.allowed ? CircleCheck : CircleX;
  return (
    <>
      <Card>
        <div className="flex items-start gap-3 text-sm">
          <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${of.allowed ? "text-good" : "text-bad"}`} />
          <div className="min-w-0">
            <p className="font-medium">{of.allowed ? t("explain.allowed") : t("explain.refused")}</p>
            {of.message && (
              <p className="break-words text-soft">
                {of.message} {of.code && <code className="font-mono text-xs">{of.code}</code>}
              </p>
            )}
            <p className="mt-1 text-xs text-soft">
              {t("explain.facts", {
                key: of.key.name,
                user: of.key.user_id,
                groups: of.groups.join(" → ") || "—",
                attempts: format.number(of.max_attempts),
              })}{" "}
              {of.cross_group_retry && t("explain.cross")}
            </p>
          </div>
        </div>
      </Card>
      {of.plan.length > 0 && (
        <Card title={t("explain.plan")} flush>
          <ol className="divide-y">
            {of.plan.map((step, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a plan's steps are its order
              <li key={i} className="flex gap-3 px-4 py-2.5 text-sm">
                <span
                  aria-hidden
                  className={`flex size-6 shrink-0 items-center justify-center rounded-full text-xs font-medium ${
                    i < of.max_attempts ? "bg-accent-soft text-accent" : "bg-hover text-faint"
                  }`}
                >
                  {i + 1}
                </span>
                <div className="min-w-0 flex-1">
                  <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
                    <Link
                      to="/channels/$id"
                      params={{ id: String(step.channel_id) }}
                      className="rounded font-medium hover:underline"
                    >
                      {step.name}
                    </Link>
                    <StateBadge state={step.state} />
                    <Badge>{step.group}</Badge>
                    <span className="text-xs text-soft">
                      {t("explain.step", { strategy: groups(`strategy.${step.strategy}`), ratio: step.ratio })}
                    </span>
                  </p>
                  <p className="text-xs break-words text-soft">{step.why}</p>
                  {i === of.max_attempts && <p className="text-xs text-faint">{t("explain.beyond")}</p>}
                </div>
              </li>
            ))}
          </ol>
        </Card>
      )}
      {of.passed_over.length > 0 && (
        <Card title={t("explain.passedOver")} flush>
          <ul className="divide-y">
            {of.passed_over.map((one) => (
              <li key={`${one.channel_id} ${one.group}`} className="px-4 py-2 text-sm">
                <p className="flex flex-wrap items-center gap-2">
                  <Link
                    to="/channels/$id"
                    params={{ id: String(one.channel_id) }}
                    className="rounded font-medium hover:underline"
                  >
                    {one.name}
                  </Link>
                  {one.group && <Badge>{one.group}</Badge>}
                </p>
                <p className="text-xs text-soft">{one.why}</p>
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}
