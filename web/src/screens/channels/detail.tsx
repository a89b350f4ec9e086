import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Copy, Ellipsis, Pencil, Power, Trash2 } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { periodText, rangeOf } from "@/format/period";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { Card, Facts, Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Problem } from "@/ui/problem";
import { Stat } from "@/ui/stat";
import { Empty, PageLoading } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { useChannelActions } from "./actions";
import { formOf } from "./form";
import { type Health, states, summarize } from "./health";
import { DeleteChannels } from "./list";
import { ChannelPanel } from "./panel";
import { type Channel, channelQuery, spendQuery } from "./queries";
import { periodOf } from "./search";
import { ConditionBadge, StateBadge } from "./status";
import { LiveTest } from "./test";

const route = getRouteApi("/app/admin/channels/$id");

/** One channel: how each upstream key and model is doing, what it costs, a live test. */
export function ChannelScreen() {
  const { t } = useTranslation("channels");
  const id = Number(route.useParams().id);
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const { data: channel, error, refetch } = useQuery(channelQuery(id));
  const period = periodOf(search.period);
  const range = useMemo(() => rangeOf(period, Date.now() / 1000, format.zone), [period, format.zone]);
  const spend = useQuery(spendQuery(range.from, range.to));
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState<readonly Channel[]>();
  const { bulk, duplicate } = useChannelActions();
  if (error && !channel) {
    return (
      <Page
        title={t("title")}
        heading={
          <Link to="/channels" className="rounded hover:underline">
            {t("title")}
          </Link>
        }
      >
        <Problem error={error} retry={() => void refetch()} large />
      </Page>
    );
  }
  if (!channel) return <PageLoading />;
  const summary = summarize(channel);
  const sum = spend.data?.get(id);
  const spent = (of: (known: NonNullable<typeof sum> | undefined) => string) =>
    spend.data ? of(sum) : spend.isError ? "—" : undefined;
  return (
    <Page
      title={channel.name}
      above={
        <Link to="/channels" className="hover:underline">
          {t("title")}
        </Link>
      }
      heading={
        <span className="flex flex-wrap items-center gap-2">
          {channel.name} <ConditionBadge summary={summary} />
          {channel.tag && <Badge>{channel.tag}</Badge>}
        </span>
      }
      actions={
        <>
          <PeriodPicker
            value={period}
            onChange={(to) => void navigate({ search: (now) => ({ ...now, period: periodText(to) }), replace: true })}
          />
          <Button icon={<Pencil aria-hidden className="size-3.5 text-soft" />} onClick={() => setEditing(true)}>
            {t("action.edit")}
          </Button>
          <Menu
            trigger={
              <IconButton label={t("action.of", { name: channel.name })}>
                <Ellipsis aria-hidden className="size-4" />
              </IconButton>
            }
          >
            <MenuItem icon={<Copy aria-hidden className="size-3.5" />} onSelect={() => duplicate.mutate(id)}>
              {t("action.duplicate")}
            </MenuItem>
            <MenuItem
              icon={<Power aria-hidden className="size-3.5" />}
              onSelect={() => bulk.mutate({ action: channel.status === 1 ? "disable" : "enable", ids: [id] })}
            >
              {channel.status === 1 ? t("action.disable") : t("action.enable")}
            </MenuItem>
            <MenuSeparator />
            <MenuItem danger icon={<Trash2 aria-hidden className="size-3.5" />} onSelect={() => setDeleting([channel])}>
              {t("action.delete")}
            </MenuItem>
          </Menu>
        </>
      }
    >
      {!spend.data && <Problem error={spend.error} retry={() => void spend.refetch()} className="mb-4" />}
      <div className="mb-4 grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat label={t("column.requests")} value={spent((known) => format.number(known?.requests ?? 0))} />
        <Stat
          label={t("stat.errors")}
          value={spent((known) => format.percent(known && known.requests > 0 ? known.errors / known.requests : 0))}
        />
        <Stat
          label={t("column.latency")}
          value={summary.firstByteMs > 0 ? format.milliseconds(summary.firstByteMs) : "—"}
          note={t("stat.latencyNote")}
        />
        <Stat
          label={t("column.spend")}
          value={spent((known) => format.usd(known?.usd ?? 0))}
          note={t("stat.tokens", { tokens: format.compact((sum?.tokens_in ?? 0) + (sum?.tokens_out ?? 0)) })}
        />
      </div>
      <div className="grid items-start gap-4 xl:grid-cols-[3fr_2fr]">
        <div className="flex min-w-0 flex-col gap-4">
          <HealthCard channel={channel} />
          <Card title={t("section.test")}>
            <p className="mb-3 text-sm text-soft">{t("help.testSaved")}</p>
            <LiveTest models={channel.models} of={{ id }} />
          </Card>
        </div>
        <SettingsCard channel={channel} />
      </div>
      <ChannelPanel open={editing} onOpenChange={setEditing} channel={channel} />
      <DeleteChannels
        channels={deleting}
        onClose={() => setDeleting(undefined)}
        onDeleted={() => void navigate({ to: "/channels" })}
      />
    </Page>
  );
}

function HealthCard({ channel }: { channel: Channel }) {
  const { t } = useTranslation("channels");
  const format = useFormat();
  const rows = useMemo(
    () =>
      [...channel.health].sort(
        (a, b) =>
          a.key.localeCompare(b.key) ||
          (a.model === "" ? -1 : b.model === "" ? 1 : states.indexOf(b.state) - states.indexOf(a.state)) ||
          a.model.localeCompare(b.model),
      ),
    [channel.health],
  );
  const columns = useMemo<Column<Health>[]>(
    () => [
      {
        id: "target",
        header: t("health.target"),
        yields: true,
        cell: (row) => (
          <div className="sm:max-w-56 sm:min-w-28">
            <span className="block truncate font-medium">{row.model || t("health.wholeKey")}</span>
            <span className="block font-mono text-xs text-faint">{row.key ? `…${row.key}` : t("health.noKey")}</span>
          </div>
        ),
      },
      {
        id: "state",
        header: t("health.state"),
        cell: (row) => (
          <div className="min-w-28">
            <StateBadge state={row.state} />
            {row.state !== "closed" && (
              <span className="block text-xs break-words whitespace-normal text-soft">
                {row.reason}
                {row.until > Date.now() / 1000 && (
                  <span className="block">{t("health.again", { when: format.ago(row.until) })}</span>
                )}
              </span>
            )}
          </div>
        ),
      },
      {
        id: "attempts",
        header: t("health.attempts"),
        align: "right",
        from: "sm",
        cell: (row) =>
          row.succeeded + row.failed === 0 ? (
            <span className="text-faint">—</span>
          ) : (
            <>
              {format.number(row.succeeded)}
              {row.failed > 0 && <span className="text-bad"> / {format.number(row.failed)}</span>}
            </>
          ),
      },
      {
        id: "latency",
        header: t("column.latency"),
        align: "right",
        from: "sm",
        cell: (row) =>
          row.first_byte_ms > 0 ? format.milliseconds(row.first_byte_ms) : <span className="text-faint">—</span>,
      },
    ],
    [t, format],
  );
  const probe = channel.last_probe;
  return (
    <Card title={t("health.title")} flush>
      <Table
        label={t("health.title")}
        columns={columns}
        rows={rows}
        rowId={(row) => `${row.key}\n${row.model}`}
        empty={<Empty title={t("health.none")}>{t("health.noneHelp")}</Empty>}
      />
      <div className="border-t px-4 py-2 text-xs text-soft">
        {probe && (
          <p className={probe.ok ? "" : "text-bad"}>
            {probe.ok
              ? t("health.probeOk", { when: format.ago(probe.time), time: format.milliseconds(probe.latency_ms) })
              : t("health.probeFailed", { when: format.ago(probe.time), message: probe.message })}
          </p>
        )}
        <p>{t("health.node")}</p>
      </div>
    </Card>
  );
}

function SettingsCard({ channel }: { channel: Channel }) {
  const { t } = useTranslation("channels");
  const format = useFormat();
  const form = formOf(channel);
  const items: { label: ReactNode; value: ReactNode }[] = [];
  const add = (label: ReactNode, value: ReactNode) => {
    if (value !== "" && value !== undefined && value !== false) items.push({ label, value });
  };
  const code = (text: string) => <code className="font-mono text-xs break-all">{text}</code>;
  add(t("field.kind"), t(`kind.${channel.kind}`));
  add(t("field.baseUrl"), channel.base_url && code(channel.base_url));
  add(
    t("keys.label"),
    channel.keys.length > 0 && (
      <span className="flex flex-wrap gap-1">
        {channel.keys.map((last4, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two keys may end alike
          <code key={i} className="rounded bg-hover px-1.5 font-mono text-xs leading-5">
            …{last4}
          </code>
        ))}
      </span>
    ),
  );
  if (channel.kind === "openai" || channel.kind === "azure") add(t("field.api"), t(`api.${channel.api}`));
  add(t("field.apiVersion"), channel.azure.api_version);
  add(t("field.authority"), channel.azure.authority);
  add(t("field.scope"), channel.azure.scope);
  add(t("field.project"), channel.vertex.project);
  add(t("field.location"), channel.vertex.location);
  add(t("field.region"), channel.aws.region);
  add(
    t("field.models"),
    <span className="flex flex-wrap gap-1">
      {channel.models.map((model) => (
        <code key={model} className="rounded bg-hover px-1.5 font-mono text-xs leading-5 break-all">
          {model}
        </code>
      ))}
    </span>,
  );
  add(
    t("field.mapping"),
    form.mapping.length > 0 && (
      <ul>
        {form.mapping.map(({ from, to }) => (
          <li key={from}>
            {code(from)} → {code(to)}
          </li>
        ))}
      </ul>
    ),
  );
  add(t("field.groups"), channel.groups.join(", "));
  add(t("field.priority"), format.number(channel.priority));
  add(t("field.weight"), format.number(channel.weight));
  for (const name of ["concurrency", "rpm", "tpm", "queue_ms"] as const) {
    add(t(`caps.${name}`), channel.caps[name] > 0 && format.number(channel.caps[name]));
  }
  for (const name of ["connect_ms", "first_byte_ms", "idle_ms", "total_ms", "drain_ms"] as const) {
    add(t(`timeouts.${name}`), channel.timeouts[name] > 0 && format.milliseconds(channel.timeouts[name]));
  }
  if (channel.on_disconnect === "drain") add(t("field.onDisconnect"), t("onDisconnect.drain"));
  if (channel.probe.mode !== "off") add(t("section.probe"), t(`probe.${channel.probe.mode}`));
  add(t("field.proxy"), channel.proxy_url && code(channel.proxy_url));
  add(t("field.ca"), channel.ca_pem !== "" && t("ca.some"));
  add(
    t("section.overrides"),
    form.overrides.length > 0 && (
      <ul>
        {form.overrides.map((line) => (
          <li key={`${line.part} ${line.how} ${line.name}`} className="break-all">
            {t(`overrides.${line.how}`)} {code(line.name)}
            {line.how !== "remove" && <> = {code(line.value)}</>}
          </li>
        ))}
      </ul>
    ),
  );
  add(t("field.created"), format.dateTime(channel.created_time));
  return (
    <Card title={t("settings.title")}>
      <Facts items={items} />
    </Card>
  );
}
