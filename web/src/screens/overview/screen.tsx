import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { administers, selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { bucketsOf, parsePeriod, periodText, rangeOf } from "@/format/period";
import { Segments } from "@/ui/input";
import { Card, Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Problem } from "@/ui/problem";
import { Sparkline, Stat } from "@/ui/stat";
import { Empty, Skeleton } from "@/ui/states";
import { FirstSteps } from "./first-steps";
import { seriesQuery, sumsQuery, type Who } from "./queries";
import type { OverviewSearch } from "./search";
import { partsOf, stackOf, sumEach, sumUp } from "./sums";
import { Top } from "./top";
import { Watch } from "./watch";

const TimeChart = lazy(() => import("@/ui/chart").then((chart) => ({ default: chart.TimeChart })));
const mostSeries = 8; // as the chart has colours
const route = getRouteApi("/app/");

/** Where a viewer lands: what was spent, by what, and what needs a look. */
export function OverviewScreen() {
  const { t } = useTranslation("overview");
  const format = useFormat();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (to: { [Name in keyof OverviewSearch]: OverviewSearch[Name] | undefined }) =>
    void navigate({ search: (now) => ({ ...now, ...to }) as OverviewSearch, replace: true });
  const { data: self } = useSuspenseQuery(selfQuery);
  const admin = administers(self);
  const who: Who = admin && search.who === "all" ? "all" : "own";
  const owner = who === "all" ? "user" : "key";

  const period = parsePeriod(search.period);
  const minute = Math.floor(Date.now() / 60_000) * 60;
  const text = periodText(period);
  const range = useMemo(() => rangeOf(parsePeriod(text), minute, format.zone), [text, minute, format.zone]);
  // Until now only: a day that has just begun is compared to as much of an earlier one.
  const elapsed = Math.min(range.to, minute + 60) - range.from;
  const length = range.to - range.from;

  const byModel = useQuery(seriesQuery(who, "model", range, format.zone));
  const byOwner = useQuery(seriesQuery(who, owner, range, format.zone));
  const before = useQuery(sumsQuery(who, range.from - length, range.from - length + elapsed));
  const times = useMemo(() => bucketsOf(range, format.zone), [range, format.zone]);
  const models = useMemo(() => byModel.data && partsOf(byModel.data, times), [byModel.data, times]);
  const owners = useMemo(() => byOwner.data && partsOf(byOwner.data, times), [byOwner.data, times]);
  const split = search.by === "owner" ? byOwner : byModel;
  const series = useMemo(() => {
    const parts = search.by === "owner" ? owners : models;
    return parts && stackOf(parts, mostSeries, t("rest"));
  }, [search.by, owners, models, t]);
  const nobodyYet = byModel.data?.length === 0 && before.data?.requests === 0;

  return (
    <Page
      title={t("title")}
      actions={
        <>
          {admin && (
            <Segments
              label={t("who.label")}
              value={who}
              onChange={(to) => change({ who: to === "all" ? "all" : undefined })}
              options={[
                { value: "own", label: t("who.own") },
                { value: "all", label: t("who.all") },
              ]}
              className="h-8 max-sm:h-10"
            />
          )}
          <PeriodPicker
            value={period}
            onChange={(to) => change({ period: periodText(to) === "7d" ? undefined : periodText(to) })}
          />
        </>
      }
    >
      <div className="flex flex-col gap-4">
        {nobodyYet && self?.request_count === 0 && <FirstSteps admin={admin} />}
        <Figures points={byModel.data} failed={byModel.isError} times={times} before={before.data} />
        <Card
          title={t("spend.title")}
          actions={
            <Segments
              label={t("spend.by")}
              value={search.by ?? "model"}
              onChange={(by) => change({ by: by === "owner" ? "owner" : undefined })}
              options={[
                { value: "model", label: t("spend.model") },
                { value: "owner", label: who === "all" ? t("spend.user") : t("spend.key") },
              ]}
            />
          }
        >
          {split.error && !series ? (
            <Problem error={split.error} retry={() => void split.refetch()} />
          ) : series === undefined ? (
            <Skeleton className="h-60 w-full" />
          ) : series.length === 0 ? (
            <Empty title={nobodyYet ? t("empty.title") : t("empty.period")}>
              {nobodyYet ? t("empty.help") : t("empty.periodHelp")}
            </Empty>
          ) : (
            <Suspense fallback={<Skeleton className="h-60 w-full" />}>
              <TimeChart
                label={t("spend.title")}
                times={times}
                bucket={range.bucket}
                series={series}
                format={format.usd}
              />
            </Suspense>
          )}
        </Card>
        <div className="grid items-start gap-4 lg:grid-cols-2">
          <Top kind="model" parts={models} who={who} error={byModel.error} retry={() => void byModel.refetch()} />
          <Top kind={owner} parts={owners} who={who} error={byOwner.error} retry={() => void byOwner.refetch()} />
        </div>
        {who === "own" && <Watch />}
      </div>
    </Page>
  );
}

function Figures({
  points,
  failed,
  times,
  before,
}: {
  points: Parameters<typeof sumUp>[0] | undefined;
  /** Whether none are to be waited for; why is told below, where it can be tried again. */
  failed: boolean;
  times: readonly number[];
  before: { usd: number; requests: number; tokens: number; errors: number; latency_ms: number } | undefined;
}) {
  const { t } = useTranslation("overview");
  const format = useFormat();
  const sums = useMemo(() => points && sumUp(points), [points]);
  const each = useMemo(() => sumEach(points ?? [], times), [points, times]);
  const share = (errors: number, requests: number) => (requests > 0 ? errors / requests : 0);
  const waiting = failed ? "—" : undefined;
  const line = (of: (sums: (typeof each)[number]) => number) =>
    sums && sums.requests > 0 ? <Sparkline values={each.map(of)} className="mt-1 h-7 w-full" /> : undefined;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-5 max-lg:[&>*:first-child]:col-span-2">
      <Stat
        label={t("figure.spend")}
        value={sums ? format.usd(sums.usd) : waiting}
        now={sums?.usd}
        before={before?.usd}
        sparkline={line((one) => one.usd)}
      />
      <Stat
        label={t("figure.requests")}
        value={sums ? format.compact(sums.requests) : waiting}
        now={sums?.requests}
        before={before?.requests}
        sparkline={line((one) => one.requests)}
      />
      <Stat
        label={t("figure.tokens")}
        value={
          sums ? (
            <span title={t("figure.inOut", { in: format.number(sums.tokensIn), out: format.number(sums.tokensOut) })}>
              {format.compact(sums.tokensIn + sums.tokensOut)}
            </span>
          ) : (
            waiting
          )
        }
        now={sums && sums.tokensIn + sums.tokensOut}
        before={before?.tokens}
        sparkline={line((one) => one.tokensIn + one.tokensOut)}
      />
      <Stat
        label={t("figure.errors")}
        value={sums ? format.percent(share(sums.errors, sums.requests)) : waiting}
        now={sums && share(sums.errors, sums.requests)}
        before={before && share(before.errors, before.requests)}
        lessIsBetter
        sparkline={line((one) => share(one.errors, one.requests))}
      />
      <Stat
        label={t("figure.latency")}
        value={sums ? (sums.requests > sums.errors ? format.milliseconds(sums.latency) : "—") : waiting}
        now={sums && sums.requests > sums.errors ? sums.latency : undefined}
        before={before?.latency_ms}
        lessIsBetter
        sparkline={line((one) => one.latency)}
      />
    </div>
  );
}
