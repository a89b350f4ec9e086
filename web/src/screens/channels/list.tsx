import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Copy, Ellipsis, Pencil, Plus, Power, Route, Search, Tags, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { groupsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { periodText, rangeOf } from "@/format/period";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Input, Segments, Select } from "@/ui/input";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "@/ui/menu";
import { Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { useChannelActions } from "./actions";
import { summarize } from "./health";
import { OrderView } from "./order-view";
import { ChannelPanel } from "./panel";
import { type Channel, channelsQuery, spendQuery } from "./queries";
import { type ChannelsSearch, conditions, type Kind, kinds, periodOf, type View } from "./search";
import { ConditionBadge } from "./status";
import { TestMany } from "./test-many";

const route = getRouteApi("/app/admin/channels");

/** Every channel: how it is doing, what it costs, and in which order it is tried. */
export function ChannelsScreen() {
  const { t } = useTranslation("channels");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const channels = useQuery(channelsQuery);
  const groups = useQuery(groupsQuery);
  const period = periodOf(search.period);
  const range = useMemo(() => rangeOf(period, Date.now() / 1000, format.zone), [period, format.zone]);
  const spend = useQuery(spendQuery(range.from, range.to));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [panel, setPanel] = useState<{ open: boolean; channel?: Channel }>({ open: false });
  const [deleting, setDeleting] = useState<readonly Channel[]>();
  const [testing, setTesting] = useState<readonly Channel[]>();
  const { bulk, duplicate } = useChannelActions();
  const change = (to: Partial<ChannelsSearch>, replace = false) =>
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }), replace });

  const summaries = useMemo(
    () => new Map((channels.data ?? []).map((channel) => [channel.id, summarize(channel)])),
    [channels.data],
  );
  const tags = useMemo(
    () => [...new Set((channels.data ?? []).map((one) => one.tag).filter((tag) => tag !== ""))].sort(),
    [channels.data],
  );
  const rows = useMemo(() => {
    const words = (search.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const found = (channels.data ?? []).filter((channel) => {
      const hay = [channel.name, channel.tag, channel.base_url, ...channel.models].join(" ").toLowerCase();
      return (
        words.every((word) => hay.includes(word)) &&
        (!search.kind || channel.kind === search.kind) &&
        (!search.group || channel.groups.includes(search.group)) &&
        (!search.tag || channel.tag === search.tag) &&
        (!search.condition || summaries.get(channel.id)?.condition === search.condition)
      );
    });
    const sort = search.sort ?? "-priority";
    const by = sort.replace(/^-/, "");
    const value = (channel: Channel): number | string => {
      switch (by) {
        case "name":
          return channel.name.toLowerCase();
        case "latency":
          return summaries.get(channel.id)?.firstByteMs ?? 0;
        case "requests":
          return spend.data?.get(channel.id)?.requests ?? 0;
        case "spend":
          return spend.data?.get(channel.id)?.usd ?? 0;
        default:
          return channel.priority;
      }
    };
    const sign = sort.startsWith("-") ? -1 : 1;
    return found.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x === y ? a.name.localeCompare(b.name) : x < y ? -sign : sign;
    });
  }, [channels.data, search, summaries, spend.data]);
  const page = search.page ?? 1;
  const size = search.size ?? 20;
  const chosen = (channels.data ?? []).filter((channel) => selected.has(String(channel.id)));
  const filtered = Boolean(search.q || search.kind || search.group || search.tag || search.condition);

  const columns = useMemo<Column<Channel>[]>(
    () => [
      {
        id: "name",
        header: t("column.name"),
        sortable: true,
        yields: true,
        cell: (channel) => (
          <div className="sm:max-w-60 sm:min-w-28">
            <span className="flex items-center gap-1.5">
              <Link
                to="/channels/$id"
                params={{ id: String(channel.id) }}
                className="min-w-0 truncate rounded font-medium hover:underline"
              >
                {channel.name}
              </Link>
              {channel.tag && (
                <Badge className="max-w-24 max-sm:hidden">
                  <span className="truncate" title={channel.tag}>
                    {channel.tag}
                  </span>
                </Badge>
              )}
            </span>
            <span className="block truncate text-xs text-faint">
              {t(`kind.${channel.kind}`)}
              {hostOf(channel.base_url) && ` · ${hostOf(channel.base_url)}`}
            </span>
          </div>
        ),
      },
      {
        id: "health",
        header: t("column.health"),
        cell: (channel) => {
          const summary = summaries.get(channel.id);
          return summary ? <ConditionBadge summary={summary} /> : null;
        },
      },
      {
        id: "models",
        header: t("column.models"),
        from: "xl",
        cell: (channel) => (
          <span className="block max-w-44 truncate text-soft" title={channel.models.join(", ")}>
            {channel.models.slice(0, 2).join(", ")}
            {channel.models.length > 2 && ` +${format.number(channel.models.length - 2)}`}
          </span>
        ),
      },
      {
        id: "groups",
        header: t("column.groups"),
        from: "lg",
        cell: (channel) => (
          <span className="block max-w-28 truncate text-soft" title={channel.groups.join(", ")}>
            {channel.groups.join(", ")}
          </span>
        ),
      },
      {
        id: "priority",
        header: t("column.priority"),
        align: "right",
        sortable: true,
        from: "md",
        cell: (channel) => format.number(channel.priority),
      },
      {
        id: "latency",
        header: t("column.latency"),
        align: "right",
        sortable: true,
        from: "md",
        cell: (channel) => {
          const ms = summaries.get(channel.id)?.firstByteMs ?? 0;
          return ms > 0 ? format.milliseconds(ms) : <span className="text-faint">—</span>;
        },
      },
      {
        id: "requests",
        header: t("column.requests"),
        align: "right",
        sortable: true,
        from: "md",
        cell: (channel) => {
          const sum = spend.data?.get(channel.id);
          if (!sum) return <span className="text-faint">—</span>;
          const share = sum.requests > 0 ? sum.errors / sum.requests : 0;
          return (
            <>
              {format.compact(sum.requests)}
              {sum.errors > 0 && (
                <span className={`block text-xs whitespace-nowrap ${share >= 0.05 ? "text-bad" : "text-faint"}`}>
                  {t("column.failed", { share: format.percent(share) })}
                </span>
              )}
            </>
          );
        },
      },
      {
        id: "spend",
        header: t("column.spend"),
        align: "right",
        sortable: true,
        from: "sm",
        cell: (channel) => {
          const sum = spend.data?.get(channel.id);
          return sum ? format.usd(sum.usd) : <span className="text-faint">—</span>;
        },
      },
      {
        id: "actions",
        header: <span className="sr-only">{t("column.actions")}</span>,
        align: "right",
        className: "w-10",
        cell: (channel) => (
          <Menu
            trigger={
              <IconButton label={t("action.of", { name: channel.name })}>
                <Ellipsis aria-hidden className="size-4" />
              </IconButton>
            }
          >
            <MenuItem
              icon={<Pencil aria-hidden className="size-3.5" />}
              onSelect={() => setPanel({ open: true, channel })}
            >
              {t("action.edit")}
            </MenuItem>
            <MenuItem icon={<Copy aria-hidden className="size-3.5" />} onSelect={() => duplicate.mutate(channel.id)}>
              {t("action.duplicate")}
            </MenuItem>
            <MenuItem
              icon={<Power aria-hidden className="size-3.5" />}
              onSelect={() => bulk.mutate({ action: channel.status === 1 ? "disable" : "enable", ids: [channel.id] })}
            >
              {channel.status === 1 ? t("action.disable") : t("action.enable")}
            </MenuItem>
            <MenuSeparator />
            <MenuItem danger icon={<Trash2 aria-hidden className="size-3.5" />} onSelect={() => setDeleting([channel])}>
              {t("action.delete")}
            </MenuItem>
          </Menu>
        ),
      },
    ],
    [t, format, summaries, spend.data, duplicate, bulk],
  );

  const ordered = search.view === "order";
  return (
    <Page
      title={t("title")}
      actions={
        <>
          <Button asChild>
            <Link to="/channels/explain">
              <Route aria-hidden className="size-3.5 text-soft" />
              {t("explain.title")}
            </Link>
          </Button>
          {tags.length > 0 && (
            <Menu
              trigger={<Button icon={<Tags aria-hidden className="size-3.5 text-soft" />}>{t("action.byTag")}</Button>}
            >
              {tags.map((tag) => (
                <div key={tag}>
                  <MenuLabel>{tag}</MenuLabel>
                  <MenuItem onSelect={() => bulk.mutate({ action: "enable", tag })}>{t("action.enableAll")}</MenuItem>
                  <MenuItem onSelect={() => bulk.mutate({ action: "disable", tag })}>{t("action.disableAll")}</MenuItem>
                </div>
              ))}
            </Menu>
          )}
          <Button
            look="primary"
            className="max-sm:order-first"
            icon={<Plus aria-hidden className="size-3.5" />}
            onClick={() => setPanel({ open: true })}
          >
            {t("new.action")}
          </Button>
        </>
      }
    >
      <div className="mb-3 grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
        <Segments<View>
          label={t("view.label")}
          value={search.view ?? "list"}
          onChange={(view) => change({ view: view === "order" ? "order" : undefined })}
          options={(["list", "order"] as const).map((value) => ({ value, label: t(`view.${value}`) }))}
          className="max-sm:col-span-2"
        />
        <div className="max-sm:col-span-2 sm:w-60">
          <Input
            type="search"
            aria-label={t("filter.search")}
            placeholder={t("filter.search")}
            value={search.q ?? ""}
            onChange={(event) => change({ q: event.target.value || undefined }, true)}
            lead={<Search className="size-3.5" />}
          />
        </div>
        {!ordered && (
          <Select
            aria-label={t("column.health")}
            className="sm:w-36"
            value={search.condition ?? ""}
            onChange={(event) =>
              change({ condition: (event.target.value || undefined) as ChannelsSearch["condition"] })
            }
            options={[
              { value: "", label: t("filter.anyHealth") },
              ...conditions.map((value) => ({ value, label: t(`condition.${value}`) })),
            ]}
          />
        )}
        {!ordered && (
          <Select
            aria-label={t("field.kind")}
            className="sm:w-36"
            value={search.kind ?? ""}
            onChange={(event) => change({ kind: (event.target.value || undefined) as Kind | undefined })}
            options={[
              { value: "", label: t("filter.anyKind") },
              ...kinds.map((value) => ({ value, label: t(`kind.${value}`) })),
            ]}
          />
        )}
        <Select
          aria-label={t("column.group")}
          className="sm:w-36"
          value={search.group ?? ""}
          onChange={(event) => change({ group: event.target.value || undefined })}
          options={[
            { value: "", label: t("filter.anyGroup") },
            ...(groups.data ?? []).map(({ name }) => ({ value: name, label: name })),
          ]}
        />
        {!ordered && tags.length > 0 && (
          <Select
            aria-label={t("field.tag")}
            className="sm:w-36"
            value={search.tag ?? ""}
            onChange={(event) => change({ tag: event.target.value || undefined })}
            options={[{ value: "", label: t("filter.anyTag") }, ...tags.map((tag) => ({ value: tag, label: tag }))]}
          />
        )}
        {!ordered && (
          <div className="sm:ml-auto">
            <PeriodPicker value={period} onChange={(to) => change({ period: periodText(to) })} />
          </div>
        )}
      </div>

      {ordered ? (
        <OrderView
          channels={channels.data}
          group={search.group}
          q={search.q ?? ""}
          error={channels.error}
          retry={() => void channels.refetch()}
        />
      ) : (
        <>
          {chosen.length > 0 && (
            <section
              aria-label={t("bulk.chosen")}
              className="mb-2 flex flex-wrap items-center gap-2 rounded-md border bg-sunken px-3 py-1.5 text-sm"
            >
              <span className="mr-auto">{t("bulk.selected", { count: chosen.length })}</span>
              <Button size="small" onClick={() => setTesting(chosen)}>
                {t("test.run")}
              </Button>
              <Button size="small" onClick={() => bulk.mutate({ action: "enable", ids: chosen.map(({ id }) => id) })}>
                {t("action.enable")}
              </Button>
              <Button size="small" onClick={() => bulk.mutate({ action: "disable", ids: chosen.map(({ id }) => id) })}>
                {t("action.disable")}
              </Button>
              <Button size="small" onClick={() => setDeleting(chosen)}>
                {t("action.delete")}
              </Button>
              <Button size="small" look="quiet" onClick={() => setSelected(new Set())}>
                {t("bulk.clear")}
              </Button>
            </section>
          )}
          <div className="rounded-lg border">
            <Table
              label={t("title")}
              columns={columns}
              rows={channels.data ? rows.slice((page - 1) * size, page * size) : undefined}
              rowId={(channel) => String(channel.id)}
              rowLabel={(channel) => channel.name}
              error={channels.error}
              retry={() => void channels.refetch()}
              sort={search.sort ?? "-priority"}
              onSort={(sort) => change({ sort: sort === "-priority" ? undefined : sort })}
              selected={selected}
              onSelected={setSelected}
              onRow={(channel) => void navigate({ to: "/channels/$id", params: { id: String(channel.id) } })}
              page={{ page, pageSize: size, total: rows.length }}
              onPage={(to, pageSize, replace) =>
                void navigate({ search: (now) => ({ ...now, page: to, size: pageSize }), replace })
              }
              empty={
                filtered ? (
                  <Empty
                    title={t("empty.filtered")}
                    action={
                      <Button
                        onClick={() =>
                          change({
                            q: undefined,
                            kind: undefined,
                            group: undefined,
                            tag: undefined,
                            condition: undefined,
                          })
                        }
                      >
                        {t("empty.reset")}
                      </Button>
                    }
                  >
                    {t("empty.filteredHelp")}
                  </Empty>
                ) : (
                  <Empty
                    title={t("empty.title")}
                    action={
                      <Button look="primary" onClick={() => setPanel({ open: true })}>
                        {t("new.action")}
                      </Button>
                    }
                  >
                    {t("empty.help")}
                  </Empty>
                )
              }
            />
          </div>
          <p className="mt-2 text-xs text-faint">{t("health.node")}</p>
        </>
      )}
      <ChannelPanel
        open={panel.open}
        channel={panel.channel}
        onOpenChange={(open) => setPanel((now) => ({ ...now, open }))}
      />
      {testing && <TestMany channels={testing} onClose={() => setTesting(undefined)} />}
      <DeleteChannels
        channels={deleting}
        onClose={() => setDeleting(undefined)}
        onDeleted={() => setSelected(new Set())}
      />
    </Page>
  );
}

/** Asks before channels are deleted; of one, its name has to be typed. */
export function DeleteChannels({
  channels,
  onClose,
  onDeleted,
}: {
  channels: readonly Channel[] | undefined;
  onClose: () => void;
  onDeleted: () => void;
}) {
  const { t } = useTranslation("channels");
  const { bulk } = useChannelActions();
  const first = channels?.[0];
  const count = channels?.length ?? 0;
  return (
    <Confirm
      open={channels !== undefined}
      onOpenChange={(open) => !open && onClose()}
      danger
      title={count === 1 && first ? t("delete.one", { name: first.name }) : t("delete.title", { count })}
      action={t("action.delete")}
      typed={count === 1 ? (first?.name ?? "") : t("delete.word")}
      busy={bulk.isPending}
      onConfirm={() =>
        bulk.mutate(
          { action: "delete", ids: (channels ?? []).map(({ id }) => id) },
          {
            onSuccess: () => {
              onDeleted();
              onClose();
            },
          },
        )
      }
    >
      <p>{t("delete.help")}</p>
      {count > 1 && (
        <ul className="list-disc pl-5">
          {channels?.slice(0, 8).map((channel) => (
            <li key={channel.id}>{channel.name}</li>
          ))}
          {count > 8 && <li>…</li>}
        </ul>
      )}
    </Confirm>
  );
}

/** The host of an address; nothing when it has none. */
export function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return "";
  }
}
