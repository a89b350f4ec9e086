import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { ownGroupsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Input, Select } from "@/ui/input";
import { Page } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { keysQuery } from "./queries";
import type { KeysSearch } from "./search";
import { KeyStatus } from "./status";

const route = getRouteApi("/app/keys");
type Key = Schemas["Key"];

/** The caller's keys. What is searched for and shown stands in the address. */
export function KeysScreen() {
  const { t } = useTranslation("keys");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const keys = useQuery(keysQuery(search));
  const groups = useQuery(ownGroupsQuery);
  const change = (to: Partial<KeysSearch>, replace = false) =>
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }), replace });
  const columns = useMemo<Column<Key>[]>(
    () => [
      {
        id: "name",
        header: t("column.name"),
        cell: (key) => (
          <div className="max-w-64 min-w-28">
            <Link
              to="/keys/$id"
              params={{ id: String(key.id) }}
              className="block truncate rounded font-medium hover:underline"
            >
              {key.name}
            </Link>
            <code className="block truncate font-mono text-xs text-faint">{masked(key.key)}</code>
          </div>
        ),
      },
      { id: "status", header: t("column.status"), cell: (key) => <KeyStatus status={key.status} /> },
      {
        id: "remaining",
        header: t("column.remaining"),
        align: "right",
        cell: (key) =>
          key.unlimited_quota ? <span className="text-soft">{t("unlimited")}</span> : format.units(key.remain_quota),
      },
      { id: "used", header: t("column.used"), align: "right", from: "sm", cell: (key) => format.units(key.used_quota) },
      {
        id: "group",
        header: t("column.group"),
        from: "lg",
        cell: (key) => key.group || <span className="text-faint">—</span>,
      },
      {
        id: "lastUsed",
        header: t("column.lastUsed"),
        from: "md",
        cell: (key) =>
          key.accessed_time > 0 ? format.ago(key.accessed_time) : <span className="text-faint">{t("never")}</span>,
      },
    ],
    [t, format],
  );
  const filtered = Boolean(search.q || search.status || search.group);
  return (
    <Page title={t("title")}>
      <div className="mb-3 grid grid-cols-2 gap-2 sm:flex">
        <SearchField value={search.q ?? ""} onChange={(q) => change({ q: q || undefined }, true)} />
        <Select
          aria-label={t("column.status")}
          className="sm:w-40"
          value={String(search.status ?? "")}
          onChange={(event) => change({ status: (Number(event.target.value) || undefined) as KeysSearch["status"] })}
          options={[
            { value: "", label: t("filter.anyStatus") },
            ...([1, 2, 3, 4] as const).map((status) => ({ value: String(status), label: t(`status.${status}`) })),
          ]}
        />
        <Select
          aria-label={t("column.group")}
          className="sm:w-40"
          value={search.group ?? ""}
          onChange={(event) => change({ group: event.target.value || undefined })}
          options={[
            { value: "", label: t("filter.anyGroup") },
            ...Object.keys(groups.data ?? {}).map((name) => ({ value: name, label: name })),
          ]}
        />
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={keys.data?.items}
          rowId={(key) => String(key.id)}
          rowLabel={(key) => key.name}
          error={keys.error}
          retry={() => void keys.refetch()}
          stale={keys.isPlaceholderData}
          empty={
            filtered ? (
              <Empty
                title={t("empty.filtered")}
                action={
                  <Button onClick={() => change({ q: undefined, status: undefined, group: undefined })}>
                    {t("empty.reset")}
                  </Button>
                }
              >
                {t("empty.filteredHelp")}
              </Empty>
            ) : (
              <Empty title={t("empty.title")}>{t("empty.help")}</Empty>
            )
          }
          onRow={(key) => void navigate({ to: "/keys/$id", params: { id: String(key.id) } })}
          page={{ page: search.page ?? 1, pageSize: search.size ?? 20, total: keys.data?.total ?? 0 }}
          onPage={(page, size) => void navigate({ search: (now) => ({ ...now, page, size }) })}
        />
      </div>
    </Page>
  );
}

/** A value as it may stand on a screen that others see: its ends. */
export function masked(value: string): string {
  return value.includes("…") ? value : `${value.slice(0, 7)}…${value.slice(-4)}`;
}

/** Searches a moment after the last letter. */
function SearchField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation("keys");
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another text starts the wait anew
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), 250);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div className="max-sm:col-span-2 sm:w-72">
      <Input
        type="search"
        aria-label={t("filter.search")}
        placeholder={t("filter.search")}
        value={text}
        onChange={(event) => setText(event.target.value)}
        lead={<Search className="size-3.5" />}
      />
    </div>
  );
}
