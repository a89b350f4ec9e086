import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus, Search, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { usableGroupsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Input, Select } from "@/ui/input";
import { Page } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { KeyPanel } from "./form";
import { OwnerNote, useOther, useOwner } from "./owner";
import { keyQuery, keysByValueQuery, keysKey, keysQuery, useSetStatus } from "./queries";
import type { KeysSearch } from "./search";
import { KeyStatus, masked, wasUsed } from "./status";
import { ValueDialog } from "./value-dialog";

const route = getRouteApi("/app/keys");
type Key = Schemas["Key"];

/** The caller's keys. What is searched for and shown stands in the address. */
export function KeysScreen() {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const other = useOther(search.user);
  const { owner, mayChange } = useOwner(other);
  const whose = useMemo(() => (other === undefined ? {} : { user: other }), [other]);
  const keys = useQuery(keysQuery({ ...search, user: other }));
  const { data: parent } = useQuery({
    ...keyQuery(search.parent ?? 0, other),
    enabled: search.parent !== undefined,
    placeholderData: undefined,
  });
  const byValue = useQuery({
    ...keysByValueQuery(search.q ?? "", other),
    enabled: (search.q ?? "").length >= 4 && keys.data?.total === 0,
  });
  const groups = useQuery(usableGroupsQuery(other));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<Key>();
  const change = (to: Partial<KeysSearch>, replace = false) => {
    setSelected(new Set());
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }), replace });
  };
  const columns = useMemo<Column<Key>[]>(
    () => [
      {
        id: "name",
        header: t("column.name"),
        sortable: true,
        yields: true,
        cell: (key) => (
          <div className="sm:max-w-72 sm:min-w-28">
            <Link
              to="/keys/$id"
              params={{ id: String(key.id) }}
              search={whose}
              className="block truncate rounded font-medium hover:underline"
            >
              {key.name}
            </Link>
            <span className="block truncate text-xs text-faint">
              <code className="font-mono">{masked(key.key)}</code>
              {key.limits.parent_id !== null && ` · ${t("children.child")}`}
            </span>
          </div>
        ),
      },
      { id: "status", header: t("column.status"), cell: (key) => <KeyStatus status={key.status} /> },
      {
        id: "remaining",
        header: t("column.remaining"),
        align: "right",
        sortable: true,
        cell: (key) =>
          key.unlimited_quota ? <span className="text-soft">{t("unlimited")}</span> : format.units(key.remain_quota),
      },
      {
        id: "used",
        header: t("column.used"),
        align: "right",
        from: "sm",
        sortable: true,
        cell: (key) => format.units(key.used_quota),
      },
      {
        id: "group",
        header: t("column.group"),
        from: "xl",
        cell: (key) => key.group || <span className="text-faint">—</span>,
      },
      {
        id: "models",
        header: t("form.models"),
        from: "xl",
        cell: (key) =>
          key.model_limits_enabled ? (
            <code className="block max-w-48 truncate font-mono text-xs">{key.model_limits.replaceAll(",", ", ")}</code>
          ) : (
            <span className="text-soft">{t("form.allModels")}</span>
          ),
      },
      {
        id: "last_used",
        header: t("column.lastUsed"),
        from: "md",
        sortable: true,
        cell: (key) =>
          wasUsed(key) ? (
            <span title={format.exact(key.accessed_time)}>{format.ago(key.accessed_time)}</span>
          ) : (
            <span className="text-faint">{t("never")}</span>
          ),
      },
      {
        id: "expires",
        header: t("column.expires"),
        from: "lg",
        sortable: true,
        cell: (key) =>
          key.expired_time < 0 ? (
            <span className="text-faint">{t("form.expiry.never")}</span>
          ) : (
            <span title={format.exact(key.expired_time)}>{format.date(key.expired_time)}</span>
          ),
      },
    ],
    [t, format, whose],
  );
  const filtered = Boolean(search.q || search.status || search.group || search.parent);
  const rows = keys.data?.total === 0 && byValue.data && byValue.data.total > 0 ? byValue.data : keys.data;
  const create = mayChange && (
    <Button look="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setCreating(true)}>
      {t("create")}
    </Button>
  );
  return (
    <Page title={t("title")} actions={create}>
      <OwnerNote owner={owner} mayChange={mayChange} />
      {search.parent !== undefined && (
        <p className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-1 text-sm">
          <span className="min-w-0 break-words">
            {t("children.filtered", { name: parent?.name ?? `#${search.parent}` })}
          </span>
          <Link
            to="/keys/$id"
            params={{ id: String(search.parent) }}
            search={whose}
            className="rounded text-accent hover:underline"
          >
            {t("parent.open")}
          </Link>
          <Link to="/keys" search={whose} className="rounded text-accent hover:underline">
            {t("children.everything")}
          </Link>
        </p>
      )}
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
            ...[...Object.keys(groups.data ?? {}), "auto"].map((name) => ({ value: name, label: name })),
          ]}
        />
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={rows?.items}
          rowId={(key) => String(key.id)}
          rowLabel={(key) => key.name}
          error={keys.error}
          retry={() => void keys.refetch()}
          stale={keys.isPlaceholderData}
          sort={search.sort}
          onSort={(sort) => change({ sort: sort as KeysSearch["sort"] })}
          {...(mayChange ? { selected, onSelected: setSelected } : {})}
          empty={
            filtered ? (
              <Empty
                title={t("empty.filtered")}
                action={
                  <Button
                    onClick={() => change({ q: undefined, status: undefined, group: undefined, parent: undefined })}
                  >
                    {t("empty.reset")}
                  </Button>
                }
              >
                {t("empty.filteredHelp")}
              </Empty>
            ) : (
              <Empty title={t("empty.title")} action={create}>
                {owner ? t("empty.other", { name: owner.username }) : t("empty.help")}
              </Empty>
            )
          }
          onRow={(key) => void navigate({ to: "/keys/$id", params: { id: String(key.id) }, search: whose })}
          page={{
            page: rows === keys.data ? (search.page ?? 1) : 1,
            pageSize: search.size ?? 20,
            total: rows?.total ?? 0,
          }}
          onPage={(page, size, replace) => {
            setSelected(new Set());
            void navigate({ search: (now) => ({ ...now, page, size }), replace });
          }}
        />
      </div>
      <Bulk
        keys={(rows?.items ?? []).filter((key) => selected.has(String(key.id)))}
        onDone={() => setSelected(new Set())}
      />
      {creating && (
        <KeyPanel
          open
          owner={owner}
          onOpenChange={setCreating}
          onSaved={(key) => {
            setCreating(false);
            setMade(key);
          }}
        />
      )}
      <ValueDialog made={made} onClose={() => setMade(undefined)} />
      <span role="status" className="sr-only">
        {rows ? common("table.found", { count: rows.total }) : ""}
      </span>
    </Page>
  );
}

/** What can be done with the chosen keys together. */
function Bulk({ keys, onDone }: { keys: readonly Key[]; onDone: () => void }) {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const setStatus = useSetStatus();
  const [deleting, setDeleting] = useState(false);
  const remove = useMutation({
    mutationFn: () =>
      data(
        api.POST("/api/token/batch", {
          params: { query: { user_id: keys[0]?.user_id } },
          body: { ids: keys.map((key) => key.id) },
        }),
      ),
    onSuccess: (count) => {
      toast(t("done.deletedMany", { count }));
      setDeleting(false);
      onDone();
    },
    onSettled: () => queries.invalidateQueries({ queryKey: keysKey }),
  });
  if (keys.length === 0) return null;
  const disable = keys.some((key) => key.status !== 2);
  return (
    <section
      aria-label={t("bulk.label")}
      data-bar
      className="sticky bottom-4 z-10 mx-auto mt-4 flex w-fit max-w-full flex-wrap items-center gap-2 rounded-lg border bg-raised py-2 pr-2 pl-4 text-sm shadow-pop"
    >
      <span className="mr-2 font-medium">{t("bulk.selected", { count: keys.length })}</span>
      <Button
        busy={setStatus.isPending}
        onClick={() =>
          setStatus.mutate(
            { keys: keys.filter((key) => (disable ? key.status !== 2 : true)), status: disable ? 2 : 1 },
            { onSuccess: onDone },
          )
        }
      >
        {disable ? common("action.disable") : common("action.enable")}
      </Button>
      <Button look="danger" onClick={() => setDeleting(true)}>
        {t("bulk.delete")}
      </Button>
      <IconButton label={t("bulk.clear")} onClick={onDone}>
        <X aria-hidden className="size-4" />
      </IconButton>
      <Confirm
        open={deleting}
        onOpenChange={setDeleting}
        title={t("bulk.deleteTitle", { count: keys.length })}
        action={common("action.delete")}
        typed={t("bulk.word")}
        danger
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate()}
      >
        <p>{t("delete.help")}</p>
        <ul className="thin-scrollbar max-h-32 overflow-y-auto rounded-md bg-sunken px-3 py-2 text-ink">
          {keys.map((key) => (
            <li key={key.id} className="truncate">
              {key.name}
            </li>
          ))}
        </ul>
      </Confirm>
    </section>
  );
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
