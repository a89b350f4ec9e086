import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { type Period, rangeOf } from "@/format/period";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Select } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { Stat } from "@/ui/stat";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";

type Rerated = Schemas["Rerated"];

export const periods = ["last-month", "month", "30d", "7d", "24h"] as const;
export type RatedPeriod = (typeof periods)[number];

const usd = (nano: number) => nano / 1e9;

/** Past requests with the prices in force, or one model's with another price. */
export function useRerate() {
  const { zone } = useFormat();
  const [cancel, setCancel] = useState<AbortController>();
  const rate = useMutation({
    mutationFn: (asked: { period: RatedPeriod } & Pick<Schemas["RerateBody"], "model" | "price" | "version">) => {
      const controller = new AbortController();
      setCancel(controller);
      const { period, ...of } = asked;
      const { from, to } = rangeOf({ preset: period } as Period, Date.now() / 1000, zone);
      return data(api.POST("/api/price-rerate", { signal: controller.signal, body: { from, to, ...of } }));
    },
  });
  return { rate, cancel: () => cancel?.abort() };
}

export function PeriodSelect({ value, onChange }: { value: RatedPeriod; onChange: (value: RatedPeriod) => void }) {
  const { t } = useTranslation();
  return (
    <Select
      value={value}
      onChange={(event) => onChange(event.target.value as RatedPeriod)}
      options={periods.map((one) => ({ value: one, label: t(`period.${one}`) }))}
    />
  );
}

/** What was charged beside what it would have been, in a line. */
export function RatedTotals({ models }: { models: readonly Rerated[] }) {
  const { t } = useTranslation("prices");
  const format = useFormat();
  const sum = (of: (one: Rerated) => number) => models.reduce((total, one) => total + of(one), 0);
  const charged = sum((one) => one.charged_nano);
  const rated = sum((one) => one.rated_nano);
  const unpriced = sum((one) => one.unpriced);
  const change = rated - charged;
  return (
    <div>
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Stat label={t("rerate.requests")} value={format.number(sum((one) => one.requests))} />
        <Stat label={t("rerate.charged")} value={format.usd(usd(charged))} />
        <Stat label={t("rerate.rated")} value={format.usd(usd(rated))} />
        <Stat
          label={t("rerate.change")}
          value={`${change > 0 ? "+" : ""}${format.usd(usd(change))}`}
          note={charged > 0 ? `${change > 0 ? "+" : ""}${format.percent(change / charged)}` : undefined}
        />
      </div>
      {unpriced > 0 && <p className="mt-2 text-xs text-warn">{t("rerate.unpriced", { count: unpriced })}</p>}
    </div>
  );
}

/** "What would last month have cost?" with the prices in force. */
export function RerateView() {
  const { t } = useTranslation("prices");
  const { t: common } = useTranslation();
  const format = useFormat();
  const [period, setPeriod] = useState<RatedPeriod>("last-month");
  const { rate, cancel } = useRerate();
  const columns = useMemo<Column<Rerated>[]>(
    () => [
      {
        id: "model",
        header: t("column.model"),
        yields: true,
        cell: (row) => <span className="block truncate font-medium sm:max-w-72">{row.model || "—"}</span>,
      },
      {
        id: "requests",
        header: t("rerate.requests"),
        align: "right",
        from: "sm",
        cell: (row) => format.number(row.requests),
      },
      {
        id: "in",
        header: t("rerate.tokensIn"),
        align: "right",
        from: "lg",
        cell: (row) => format.compact(row.tokens_in),
      },
      {
        id: "out",
        header: t("rerate.tokensOut"),
        align: "right",
        from: "lg",
        cell: (row) => format.compact(row.tokens_out),
      },
      { id: "charged", header: t("rerate.charged"), align: "right", cell: (row) => format.usd(usd(row.charged_nano)) },
      {
        id: "rated",
        header: t("rerate.rated"),
        align: "right",
        cell: (row) =>
          row.unpriced === row.requests ? (
            <span className="text-faint">{t("rerate.none")}</span>
          ) : (
            format.usd(usd(row.rated_nano))
          ),
      },
      {
        id: "change",
        header: t("rerate.change"),
        align: "right",
        from: "sm",
        cell: (row) => {
          const change = row.rated_nano - row.charged_nano;
          if (row.unpriced === row.requests) return <span className="text-faint">—</span>;
          return (
            <span className={change > 0 ? "text-bad" : change < 0 ? "text-good" : "text-soft"}>
              {change > 0 && "+"}
              {format.usd(usd(change))}
            </span>
          );
        },
      },
    ],
    [t, format],
  );
  const aborted = rate.error instanceof DOMException;
  return (
    <div className="flex flex-col gap-4">
      <p className="max-w-prose text-sm text-soft">{t("rerate.help")}</p>
      <div className="flex flex-wrap items-end gap-2">
        <Field label={common("period.label")} className="w-48">
          <PeriodSelect value={period} onChange={setPeriod} />
        </Field>
        <Button look="primary" busy={rate.isPending} onClick={() => rate.mutate({ period })}>
          {t("rerate.run")}
        </Button>
        {rate.isPending && <Button onClick={cancel}>{common("action.cancel")}</Button>}
      </div>
      {!aborted && <Problem error={rate.error} />}
      {rate.data && !rate.isPending && (
        <>
          <RatedTotals models={rate.data.models} />
          <div className="rounded-lg border">
            <Table
              label={t("rerate.title")}
              columns={columns}
              rows={rate.data.models}
              rowId={(row) => row.model}
              empty={<Empty title={t("rerate.empty")}>{t("rerate.emptyHelp")}</Empty>}
            />
          </div>
          <p className="text-xs text-faint">{t("rerate.note")}</p>
        </>
      )}
    </div>
  );
}
