import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { administers, selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { parsePeriod, periodText, rangeOf } from "@/format/period";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Segments } from "@/ui/input";
import { Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { exportUsage } from "./download";
import { ExportMenu } from "./export";
import { Filters } from "./filters";
import { RequestPanel, StatusBadge } from "./panel";
import { filterOf, requestSumsQuery, requestsQuery } from "./queries";
import { isNarrowed, type UsageSearch } from "./search";

const route = getRouteApi("/app/usage");
type Usage = Schemas["Usage"];
type Change = { [Name in keyof UsageSearch]: UsageSearch[Name] | undefined };

/** Every request, with what narrows them in the address. */
export function UsageScreen() {
  const { t } = useTranslation("usage");
  const { t: overview } = useTranslation("overview");
  const format = useFormat();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { data: self } = useSuspenseQuery(selfQuery);
  const admin = administers(self);
  const all = admin && search.who === "all";
  const change = (to: Change) =>
    void navigate({ search: (now) => ({ ...now, page: undefined, ...to }) as UsageSearch, replace: true });

  const reset = () =>
    change({
      key: undefined,
      model: undefined,
      status: undefined,
      errors: undefined,
      request: undefined,
      user: undefined,
    });

  const minute = Math.floor(Date.now() / 60_000) * 60;
  const period = parsePeriod(search.period);
  const text = periodText(period);
  const range = useMemo(() => rangeOf(parsePeriod(text), minute, format.zone), [text, minute, format.zone]);
  const filter = useMemo(() => filterOf(search, range), [search, range]);
  const list = useQuery(requestsQuery(all, filter, search.page ?? 1, search.size ?? 20));
  const sums = useQuery(requestSumsQuery(all, filter));
  const [open, setOpen] = useState<Usage>();
  const columns = useColumns(all, setOpen);

  return (
    <Page
      title={t("title")}
      actions={
        <>
          {admin && (
            <Segments
              label={overview("who.label")}
              value={all ? "all" : "own"}
              onChange={(to) => change({ who: to === "all" ? "all" : undefined, user: undefined, key: undefined })}
              options={[
                { value: "own", label: overview("who.own") },
                { value: "all", label: overview("who.all") },
              ]}
              className="h-8 max-sm:h-10"
            />
          )}
          <PeriodPicker
            value={period}
            onChange={(to) => change({ period: periodText(to) === "7d" ? undefined : periodText(to) })}
          />
          <ExportMenu
            title={t("export.title")}
            progress={(numbers) => t("export.progress", numbers)}
            run={(format, signal, onProgress) => exportUsage(all, filter, format, signal, onProgress)}
          />
        </>
      }
    >
      <Filters search={search} onChange={change} />
      <div className="mb-3 flex min-h-5 flex-wrap items-center gap-x-2 gap-y-1 text-sm text-soft">
        {sums.data && (
          <span>
            {t("sums", {
              count: sums.data.requests,
              requests: format.number(sums.data.requests),
              amount: format.usd(sums.data.usd),
              tokens: format.compact(sums.data.tokens),
            })}
          </span>
        )}
        {search.user !== undefined && <Badge>{t("filter.user", { id: search.user })}</Badge>}
        {all && search.key !== undefined && <Badge>{t("filter.keyId", { id: search.key })}</Badge>}
        {search.request && <span>{t("filter.anyTime")}</span>}
        {isNarrowed(search) && (
          <Button look="quiet" size="small" className="-my-1" onClick={reset}>
            {t("filter.reset")}
          </Button>
        )}
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={list.data?.items}
          rowId={(row) => String(row.id)}
          error={list.error}
          retry={() => void list.refetch()}
          stale={list.isPlaceholderData}
          empty={
            isNarrowed(search) ? (
              <Empty title={t("empty.filtered")} action={<Button onClick={reset}>{t("filter.reset")}</Button>}>
                {t("empty.filteredHelp")}
              </Empty>
            ) : (
              <Empty title={t("empty.title")}>{t("empty.help")}</Empty>
            )
          }
          onRow={setOpen}
          page={{ page: search.page ?? 1, pageSize: search.size ?? 20, total: list.data?.total ?? 0 }}
          onPage={(page, size, replace) => void navigate({ search: (now) => ({ ...now, page, size }), replace })}
        />
      </div>
      <RequestPanel row={open} onClose={() => setOpen(undefined)} />
    </Page>
  );
}

function useColumns(all: boolean, open: (row: Usage) => void): Column<Usage>[] {
  const { t } = useTranslation("usage");
  const format = useFormat();
  return useMemo<Column<Usage>[]>(() => {
    const time = (row: Usage) => (
      <button
        type="button"
        onClick={() => open(row)}
        title={format.exact(row.time)}
        className="block max-w-full truncate rounded text-left hover:underline"
      >
        {format.dateTime(row.time)}
      </button>
    );
    return [
      {
        id: "time",
        header: t("column.time"),
        yields: true,
        cell: (row) => (
          <>
            {time(row)}
            <code className="block truncate font-mono text-xs text-soft sm:hidden">{row.model || "—"}</code>
          </>
        ),
      },
      {
        id: "model",
        header: t("column.model"),
        from: "sm",
        cell: (row) => <code className="block max-w-60 truncate font-mono text-xs">{row.model || "—"}</code>,
      },
      {
        id: "key",
        header: t("column.key"),
        from: "lg",
        cell: (row) => (
          <span className="block max-w-48 truncate" title={row.key_name}>
            {row.key_name || `#${row.key_id}`}
          </span>
        ),
      },
      ...(all
        ? [{ id: "user", header: t("column.user"), from: "xl" as const, cell: (row: Usage) => `#${row.user_id}` }]
        : []),
      { id: "status", header: t("column.status"), cell: (row) => <StatusBadge row={row} /> },
      {
        id: "input",
        header: t("column.input"),
        align: "right",
        from: "md",
        cell: (row) => format.number(row.prompt_tokens),
      },
      {
        id: "output",
        header: t("column.output"),
        align: "right",
        from: "md",
        cell: (row) => format.number(row.completion_tokens),
      },
      {
        id: "latency",
        header: t("column.latency"),
        align: "right",
        from: "sm",
        className: "whitespace-nowrap",
        cell: (row) => format.milliseconds(row.latency_ms),
      },
      { id: "cost", header: t("column.cost"), align: "right", cell: (row) => format.usd(row.usd) },
    ];
  }, [all, open, t, format]);
}
