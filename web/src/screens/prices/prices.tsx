import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus, Search } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Input, Segments } from "@/ui/input";
import { Page } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { Tabs } from "@/ui/tabs";
import { plain, priced } from "./form";
import { PricePanel, summaryOf } from "./panel";
import { pricesQuery, versionsQuery } from "./queries";
import { RerateView } from "./rerate";
import type { PricesSearch } from "./search";

const route = getRouteApi("/app/admin/prices");

/** What models cost, what they have cost, and what the past would have cost. */
export function PricesScreen() {
  const { t } = useTranslation("prices");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [creating, setCreating] = useState(false);
  return (
    <Page
      title={t("title")}
      description={t("help")}
      actions={
        <Button look="primary" icon={<Plus aria-hidden className="size-3.5" />} onClick={() => setCreating(true)}>
          {t("new.action")}
        </Button>
      }
    >
      <Tabs
        label={t("title")}
        value={search.tab ?? "list"}
        onValueChange={(tab) => void navigate({ search: tab === "list" ? {} : { tab: tab as "history" | "rerate" } })}
        tabs={[
          { value: "list", label: t("tab.list"), content: <PriceList /> },
          { value: "history", label: t("tab.history"), content: <History /> },
          { value: "rerate", label: t("tab.rerate"), content: <RerateView /> },
        ]}
      />
      <PricePanel
        model={creating ? "" : search.model}
        onClose={() => {
          setCreating(false);
          if (search.model) void navigate({ search: ({ model: _, ...now }) => now });
        }}
      />
    </Page>
  );
}

function PriceList() {
  const { t } = useTranslation("prices");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const prices = useQuery(pricesQuery(search));
  const change = (to: Partial<PricesSearch>, replace = false) =>
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }), replace });
  const [text, setText] = useState(search.q ?? "");
  useEffect(() => setText(search.q ?? ""), [search.q]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another text starts the wait anew
  useEffect(() => {
    if (text === (search.q ?? "")) return;
    const timer = setTimeout(() => change({ q: text || undefined }, true), 250);
    return () => clearTimeout(timer);
  }, [text]);
  const columns = useMemo<Column<Schemas["Price"]>[]>(() => {
    const dollars = (value: number | undefined) =>
      value === undefined ? <span className="text-faint">—</span> : `$${priced(value)}`;
    return [
      {
        id: "model",
        header: t("column.model"),
        yields: true,
        cell: (price) => (
          <div className="sm:max-w-72 sm:min-w-28">
            <Link
              to="/prices"
              search={{ ...search, model: price.model }}
              className="block truncate rounded font-medium hover:underline"
            >
              {price.model}
            </Link>
            <span className="block truncate text-xs text-faint">
              {price.vendor}
              {price.mode && ` · ${price.mode}`}
            </span>
          </div>
        ),
      },
      {
        id: "source",
        header: t("column.source"),
        from: "sm",
        cell: (price) => (
          <Badge tone={price.source === "custom" ? "accent" : "plain"}>{t(`source.${price.source}`)}</Badge>
        ),
      },
      { id: "input", header: t("kind.input"), align: "right", cell: (price) => dollars(price.input) },
      { id: "output", header: t("kind.output"), align: "right", cell: (price) => dollars(price.output) },
      {
        id: "cacheRead",
        header: t("kind.cache_read"),
        align: "right",
        from: "md",
        cell: (price) => dollars(price.cache_read),
      },
      {
        id: "more",
        header: t("column.more"),
        from: "lg",
        cell: (price) => {
          const parts = [
            price.per_request !== undefined && t("summary.perRequest", { usd: plain(price.per_request) }),
            price.per_search !== undefined && t("summary.perSearch", { usd: plain(price.per_search) }),
            price.above_prompt_tokens && t("summary.longPrompts"),
            price.service_tiers && Object.keys(price.service_tiers).join(", "),
          ].filter(Boolean);
          return <span className="block max-w-56 truncate text-xs text-soft">{parts.join(" · ")}</span>;
        },
      },
      {
        id: "max",
        header: t("field.maxOutput"),
        align: "right",
        from: "xl",
        cell: (price) =>
          price.max_output_tokens ? format.number(price.max_output_tokens) : <span className="text-faint">—</span>,
      },
    ];
  }, [t, format, search]);
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <div className="w-full sm:w-72">
          <Input
            type="search"
            aria-label={t("filter.search")}
            placeholder={t("filter.search")}
            value={text}
            onChange={(event) => setText(event.target.value)}
            lead={<Search className="size-3.5" />}
          />
        </div>
        <Segments<"" | "catalog" | "custom">
          label={t("column.source")}
          value={search.source ?? ""}
          onChange={(source) => change({ source: source || undefined })}
          options={[
            { value: "", label: t("filter.all") },
            { value: "custom", label: t("source.custom") },
            { value: "catalog", label: t("source.catalog") },
          ]}
        />
        <span className="text-xs text-soft sm:ml-auto">{t("perMillion")}</span>
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={prices.data?.items}
          rowId={(price) => price.model}
          error={prices.error}
          retry={() => void prices.refetch()}
          stale={prices.isPlaceholderData}
          onRow={(price) => change({ model: price.model, page: search.page })}
          page={{ page: search.page ?? 1, pageSize: search.size ?? 20, total: prices.data?.total ?? 0 }}
          onPage={(page, size, replace) => void navigate({ search: (now) => ({ ...now, page, size }), replace })}
          empty={
            <Empty
              title={t("empty.title")}
              action={
                search.q || search.source ? (
                  <Button onClick={() => change({ q: undefined, source: undefined })}>{t("empty.reset")}</Button>
                ) : undefined
              }
            >
              {t("empty.help")}
            </Empty>
          }
        />
      </div>
    </>
  );
}

function History() {
  const { t } = useTranslation("prices");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const versions = useQuery(versionsQuery(undefined, search.page, search.size));
  const columns = useMemo<Column<Schemas["PriceVersion"]>[]>(
    () => [
      {
        id: "time",
        header: t("column.time"),
        from: "sm",
        cell: (version) => <span className="whitespace-nowrap">{format.dateTime(version.created_time)}</span>,
      },
      {
        id: "model",
        header: t("column.model"),
        yields: true,
        cell: (version) => (
          <Link
            to="/prices"
            search={{ ...search, model: version.model }}
            className="block truncate rounded font-medium hover:underline sm:max-w-72"
          >
            {version.model}
          </Link>
        ),
      },
      {
        id: "version",
        header: t("column.version"),
        cell: (version) => <code className="font-mono text-xs">{version.version}</code>,
      },
      {
        id: "price",
        header: t("column.price"),
        from: "sm",
        cell: (version) =>
          version.price ? summaryOf(version.price, t) : <span className="text-soft">{t("history.ended")}</span>,
      },
    ],
    [t, format, search],
  );
  return (
    <div className="rounded-lg border">
      <Table
        label={t("tab.history")}
        columns={columns}
        rows={versions.data?.items}
        rowId={(version) => version.version}
        error={versions.error}
        retry={() => void versions.refetch()}
        stale={versions.isPlaceholderData}
        page={{ page: search.page ?? 1, pageSize: search.size ?? 20, total: versions.data?.total ?? 0 }}
        onPage={(page, size, replace) => void navigate({ search: (now) => ({ ...now, page, size }), replace })}
        empty={<Empty title={t("history.empty")}>{t("history.emptyHelp")}</Empty>}
      />
    </div>
  );
}
