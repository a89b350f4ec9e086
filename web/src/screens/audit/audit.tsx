import { queryOptions, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Link2, Link2Off } from "lucide-react";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { parsePeriod, periodText, type Range, rangeOf } from "@/format/period";
import { download } from "@/screens/usage/download";
import { ExportMenu } from "@/screens/usage/export";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { CopyButton } from "@/ui/copy";
import { SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";
import { Card, Facts, Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Problem } from "@/ui/problem";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { differences, membersOf } from "./diff";
import type { AuditSearch } from "./search";

type Entry = Schemas["Audit"];
const route = getRouteApi("/app/admin/audit");

/** The kinds of records and what is often done with them; others can be typed. */
const actions = [
  "access_token",
  "channel",
  "channel.create",
  "channel.update",
  "channel.delete",
  "group",
  "key",
  "key.create",
  "key.update",
  "key.delete",
  "login_provider",
  "option",
  "passkey",
  "price",
  "session",
  "totp",
  "user",
  "user.create",
  "user.update",
  "user.quota",
  "user.login",
];

/** The kinds of targets, as the server calls them. */
const kinds = [
  "access token",
  "channel",
  "group",
  "identity",
  "key",
  "login provider",
  "option",
  "passkey",
  "price",
  "session",
  "user",
] as const;

const chainQuery = queryOptions({
  queryKey: ["audit", "chain"],
  queryFn: ({ signal }) => data(api.GET("/api/audit/chain", { signal, params: { query: {} } })),
  staleTime: 60_000,
});

/** The names of users that have what was typed, by id. */
function namesQuery(keyword: string) {
  return queryOptions({
    queryKey: ["users", "names", keyword],
    queryFn: async ({ signal }) => {
      const query = { keyword, p: 1, page_size: 100 };
      const list = await data(api.GET("/api/user/", { signal, params: { query } }));
      return new Map(list.items.map((user) => [user.id, user.username]));
    },
    staleTime: 60_000,
  });
}

/** The server's filter. A request is looked for at all times. */
function filterOf({ actor, action, target, kind, request }: AuditSearch, range: Range) {
  return {
    actor,
    action,
    target,
    target_kind: kind,
    request_id: request,
    ...(request ? {} : { from: range.from, to: range.to - 1 }),
  };
}

/** Who changed what, and whether the trail itself is whole. */
export function AuditScreen() {
  const { t } = useTranslation("audit");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const period = parsePeriod(search.period, "30d");
  const range = useMemo(() => rangeOf(period, Date.now() / 1000, format.zone), [period, format.zone]);
  const { actor, action, target, kind, request, page = 1, size = 20 } = search;
  const filter = filterOf(search, range);
  const trail = useQuery({
    queryKey: ["audit", "list", filter, page, size],
    queryFn: ({ signal }) =>
      data(api.GET("/api/audit/", { signal, params: { query: { ...filter, p: page, page_size: size } } })),
  });
  const users = useQuery(namesQuery(""));
  // There may be more users than fit into a list: what is typed is looked for on the server.
  const [typed, setTyped] = useState("");
  const found = useQuery(namesQuery(typed));
  const [opened, setOpened] = useState<Entry>();
  const change = (to: Partial<AuditSearch>, replace = false) =>
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }), replace });
  const nameOf = useMemo(
    () => (id: number) => (id === 0 ? t("system") : (users.data?.get(id) ?? `#${id}`)),
    [users.data, t],
  );
  const columns = useMemo<Column<Entry>[]>(
    () => [
      {
        id: "time",
        header: t("column.time"),
        cell: (entry) => (
          <button
            type="button"
            onClick={() => setOpened(entry)}
            className="rounded text-left whitespace-nowrap hover:underline max-sm:whitespace-normal"
          >
            {format.dateTime(entry.time)}
          </button>
        ),
      },
      { id: "actor", header: t("column.actor"), from: "sm", cell: (entry) => nameOf(entry.actor) },
      {
        id: "action",
        header: t("column.action"),
        cell: (entry) => (
          <div className="max-w-44">
            <code className="block truncate font-mono text-xs">{entry.action}</code>
            <span className="block truncate text-xs text-faint sm:hidden">
              {nameOf(entry.actor)} · {entry.target}
            </span>
          </div>
        ),
      },
      {
        id: "target",
        header: t("column.target"),
        from: "sm",
        cell: (entry) => <span className="block max-w-44 truncate">{entry.target}</span>,
      },
      {
        id: "what",
        header: t("column.what"),
        from: "lg",
        cell: (entry) => <span className="block max-w-96 truncate text-xs text-soft">{summary(entry)}</span>,
      },
      {
        id: "ip",
        header: t("column.ip"),
        from: "xl",
        cell: (entry) => entry.ip || <span className="text-faint">{t("local")}</span>,
      },
    ],
    [t, format, nameOf],
  );
  const filtered = actor !== undefined || Boolean(action || target || kind || request);
  return (
    <Page
      title={t("title")}
      description={t("help")}
      actions={
        <ExportMenu
          title={t("export.title")}
          progress={(numbers) => t("export.progress", numbers)}
          run={(format, signal, onProgress) =>
            download(
              api.GET("/api/audit/export", { signal, params: { query: { ...filter, format } }, parseAs: "stream" }),
              `halley-audit.${format}`,
              onProgress,
            )
          }
        />
      }
    >
      <ChainState />
      <div className="mb-3 grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
        <div className="sm:w-44">
          <Combobox
            aria-label={t("column.actor")}
            placeholder={t("filter.actor")}
            options={[
              { value: "0", label: t("system") },
              ...[...(found.data ?? [])].map(([id, name]) => ({ value: String(id), label: name })),
              ...(actor === undefined || actor === 0 || found.data?.has(actor)
                ? []
                : [{ value: String(actor), label: nameOf(actor) }]),
            ]}
            onText={setTyped}
            value={actor === undefined ? "" : String(actor)}
            onChange={(value) => change({ actor: value === "" ? undefined : Number(value) })}
          />
        </div>
        <div className="sm:w-44">
          <Combobox
            aria-label={t("column.action")}
            placeholder={t("filter.action")}
            options={actions}
            value={action ?? ""}
            free
            onChange={(value) => change({ action: value || undefined }, true)}
          />
        </div>
        <Select
          aria-label={t("filter.kind")}
          className="sm:w-44"
          value={kind ?? ""}
          onChange={(event) => change({ kind: event.target.value || undefined })}
          options={[
            { value: "", label: t("filter.anyKind") },
            ...kinds.map((value) => ({ value, label: t(`kind.${value}`) })),
            ...(kind && !(kinds as readonly string[]).includes(kind) ? [{ value: kind, label: kind }] : []),
          ]}
        />
        <TextField
          label={t("column.target")}
          placeholder={t("filter.target")}
          value={target ?? ""}
          onChange={(value) => change({ target: value || undefined })}
        />
        <TextField
          label={t("entry.request")}
          placeholder={t("filter.request")}
          value={request ?? ""}
          onChange={(value) => change({ request: value || undefined })}
        />
        <div className="sm:ml-auto">
          <PeriodPicker value={period} onChange={(to) => change({ period: periodText(to) })} />
        </div>
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={trail.data?.items}
          rowId={(entry) => String(entry.id)}
          error={trail.error}
          retry={() => void trail.refetch()}
          stale={trail.isPlaceholderData}
          onRow={setOpened}
          page={{ page, pageSize: size, total: trail.data?.total ?? 0 }}
          onPage={(to, pageSize, replace) =>
            void navigate({ search: (now) => ({ ...now, page: to, size: pageSize }), replace })
          }
          empty={
            <Empty
              title={t("empty.title")}
              action={
                filtered ? (
                  <Button
                    onClick={() =>
                      change({
                        actor: undefined,
                        action: undefined,
                        target: undefined,
                        kind: undefined,
                        request: undefined,
                      })
                    }
                  >
                    {t("empty.reset")}
                  </Button>
                ) : undefined
              }
            >
              {t("empty.help")}
            </Empty>
          }
        />
      </div>
      <SidePanel
        open={opened !== undefined}
        onOpenChange={(open) => !open && setOpened(undefined)}
        title={opened?.action ?? ""}
        wide
      >
        {opened && (
          <EntryView
            entry={opened}
            actor={nameOf(opened.actor)}
            onRequest={(id) => {
              setOpened(undefined);
              change({ request: id, actor: undefined, action: undefined, target: undefined, kind: undefined });
            }}
          />
        )}
      </SidePanel>
    </Page>
  );
}

interface TextFieldProps {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
}

function TextField({ label, placeholder, value, onChange }: TextFieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form
      className="sm:w-48"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        onChange(text.trim());
      }}
    >
      <Input
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={() => text.trim() !== value && onChange(text.trim())}
      />
    </form>
  );
}

function summary(entry: Entry): string {
  const made = entry.before === null;
  const changed = differences(entry.before, entry.after).filter((one) => !made || tells(one.after));
  if (changed.length > 0) {
    return changed
      .map((one) => `${one.name}: ${one.before === undefined ? "" : `${one.before} → `}${one.after ?? "∅"}`)
      .join(", ");
  }
  const asked = membersOf(entry.detail);
  return asked
    ? Object.entries(asked)
        .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join(", ")
    : entry.detail;
}

/** Whether a member of what was made says anything in one line: most begin with nothing. */
function tells(value: string | undefined): boolean {
  return value !== undefined && !["", "null", "false", "0", "[]", "{}"].includes(value);
}

/** Whether no record was changed or taken away. */
function ChainState() {
  const { t } = useTranslation("audit");
  const { number } = useFormat();
  const [noted, setNoted] = useState("");
  const [asked, setAsked] = useState("");
  const chain = useQuery(
    asked === ""
      ? chainQuery
      : {
          ...chainQuery,
          queryKey: ["audit", "chain", asked],
          queryFn: ({ signal }: { signal: AbortSignal }) =>
            data(api.GET("/api/audit/chain", { signal, params: { query: { noted: asked } } })),
        },
  );
  const broken = chain.data?.broken;
  const Icon = broken ? Link2Off : Link2;
  return (
    <Card className="mb-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
        {chain.error ? (
          <Problem error={chain.error} retry={() => void chain.refetch()} className="min-w-0 flex-1" />
        ) : (
          <p className="flex min-w-60 flex-1 items-start gap-2" role="status">
            <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${broken ? "text-bad" : "text-good"}`} />
            {!chain.data ? (
              <span className="text-soft">{t("chain.checking")}</span>
            ) : broken ? (
              <span className="text-bad">{t("chain.broken", { id: broken.id, why: broken.why })}</span>
            ) : (
              <span>{t("chain.whole", { records: number(chain.data.records) })}</span>
            )}
          </p>
        )}
        {chain.data && !broken && (
          <span className="flex items-center gap-1 text-xs text-soft">
            {t("chain.head")} <code className="max-w-48 truncate font-mono">{chain.data.head}</code>
            <CopyButton value={chain.data.head} label={t("chain.copy")} small />
          </span>
        )}
        <form
          className="flex items-end gap-2"
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            setAsked(noted.trim());
            if (noted.trim() === asked) void chain.refetch();
          }}
        >
          <Input
            aria-label={t("chain.noted")}
            placeholder={t("chain.noted")}
            className="sm:w-56"
            value={noted}
            onChange={(event) => setNoted(event.target.value)}
          />
          <Button type="submit" busy={chain.isFetching}>
            {t("chain.check")}
          </Button>
        </form>
      </div>
    </Card>
  );
}

interface EntryViewProps {
  entry: Entry;
  actor: string;
  /** Shows all that a request has changed. */
  onRequest: (id: string) => void;
}

function EntryView({ entry, actor, onRequest }: EntryViewProps) {
  const { t } = useTranslation("audit");
  const format = useFormat();
  const changed = differences(entry.before, entry.after);
  const asked = membersOf(entry.detail);
  return (
    <div className="flex flex-col gap-5">
      <Facts
        items={[
          { label: t("column.time"), value: format.exact(entry.time) },
          { label: t("column.actor"), value: entry.actor === 0 ? actor : `${actor} (${entry.actor})` },
          { label: t("column.target"), value: entry.target },
          { label: t("column.ip"), value: entry.ip || t("local") },
          ...(entry.request_id
            ? [
                {
                  label: t("entry.request"),
                  value: (
                    <span className="flex items-center gap-1">
                      <code className="truncate font-mono text-xs">{entry.request_id}</code>
                      <CopyButton value={entry.request_id} small />
                      <Button look="quiet" size="small" onClick={() => onRequest(entry.request_id)}>
                        {t("entry.sameRequest")}
                      </Button>
                    </span>
                  ),
                },
              ]
            : []),
          { label: t("entry.id"), value: String(entry.id) },
          {
            label: t("entry.hash"),
            value: entry.hash ? (
              <code className="font-mono text-xs break-all">{entry.hash}</code>
            ) : (
              <span className="text-soft">{t("entry.noHash")}</span>
            ),
          },
        ]}
      />
      {changed.length > 0 && (
        <Field label={t("entry.changes")} group>
          <ul className="divide-y rounded-md border text-xs">
            {changed.map((one) => (
              <li key={one.name} className="px-3 py-2">
                <p className="mb-1 font-medium">{one.name}</p>
                {one.before !== undefined && (
                  <p className="rounded-sm bg-bad-soft px-2 py-0.5 font-mono break-all text-bad">
                    <span aria-hidden>− </span>
                    <span className="sr-only">{t("entry.before")} </span>
                    {one.before === "" ? "∅" : one.before}
                  </p>
                )}
                {one.after !== undefined && (
                  <p className="rounded-sm bg-good-soft px-2 py-0.5 font-mono break-all text-good">
                    <span aria-hidden>+ </span>
                    <span className="sr-only">{t("entry.after")} </span>
                    {one.after === "" ? "∅" : one.after}
                  </p>
                )}
              </li>
            ))}
          </ul>
        </Field>
      )}
      {entry.detail && (
        <Field label={t("entry.asked")} group>
          <pre className="thin-scrollbar overflow-x-auto rounded-md border bg-sunken px-3 py-2 font-mono text-xs break-words whitespace-pre-wrap">
            {asked ? JSON.stringify(asked, null, 2) : entry.detail}
          </pre>
        </Field>
      )}
    </div>
  );
}
