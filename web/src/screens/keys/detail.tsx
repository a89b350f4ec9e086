import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import {
  CircleDollarSign,
  MoreHorizontal,
  Pencil,
  RotateCw,
  ShieldQuestion,
  Trash2,
  TriangleAlert,
} from "lucide-react";
import { lazy, type ReactNode, Suspense, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { bucketsOf, type Period, parsePeriod, periodText, rangeOf } from "@/format/period";
import { usePeriodWords } from "@/screens/limits/period-words";
import { partsOf, sumUp } from "@/screens/overview/sums";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { Card, Facts, Page } from "@/ui/page";
import { PeriodPicker } from "@/ui/period-picker";
import { Problem } from "@/ui/problem";
import { Meter, Stat } from "@/ui/stat";
import { Empty, PageLoading, Skeleton } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { DeleteDialog, RotateDialog, TopUpDialog, VerifyPanel } from "./actions";
import { Children } from "./children";
import { modelRates, rates } from "./draft";
import { KeyPanel } from "./form";
import { OwnerNote, useOther, useOwner } from "./owner";
import { keyQuery, keyRequestsQuery, keyUsageQuery, keyValuesQuery, useSetStatus } from "./queries";
import { KeyStatus, masked, wasUsed } from "./status";
import { ValueDialog } from "./value-dialog";
import { Values } from "./values";

const TimeChart = lazy(() => import("@/ui/chart").then((chart) => ({ default: chart.TimeChart })));
const route = getRouteApi("/app/keys/$id");
type Key = Schemas["Key"];
type Open = "edit" | "issue" | "rotate" | "top-up" | "verify" | "delete";

/** One key: what it is, what it did, and everything that can be done with it. */
export function KeyScreen() {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const { id: text } = route.useParams();
  const id = Number(text);
  const navigate = useNavigate();
  const other = useOther(route.useSearch().user);
  const { owner, mayChange } = useOwner(other);
  const { data: key, error, refetch } = useQuery({ ...keyQuery(id, other), placeholderData: undefined });
  const parentId = key?.limits.parent_id ?? 0;
  const { data: parent } = useQuery({
    ...keyQuery(parentId, other),
    enabled: parentId > 0,
    placeholderData: undefined,
  });
  const [open, setOpen] = useState<Open>();
  const [made, setMade] = useState<Key>();
  const setStatus = useSetStatus();
  const shut = () => setOpen(undefined);
  const layer = (which: Open) => ({
    open: open === which,
    onOpenChange: (to: boolean) => setOpen(to ? which : undefined),
  });

  if (error && !key) {
    return (
      <Page
        title={t("title")}
        heading={
          <Link to="/keys" search={other === undefined ? {} : { user: other }} className="rounded hover:underline">
            {t("title")}
          </Link>
        }
      >
        <Problem error={error} retry={() => void refetch()} large />
      </Page>
    );
  }
  if (!key) return <PageLoading />;
  const disabled = key.status === 2;
  // What the child's own switch says is hidden behind its parent's.
  const stuck = parent?.status === 2;
  const whose = other === undefined ? {} : { user: other };
  return (
    <Page
      title={key.name}
      heading={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="break-all">{key.name}</span>
          <KeyStatus status={key.status} />
        </span>
      }
      above={
        <span className="flex flex-wrap gap-x-1.5">
          <Link to="/keys" search={whose} className="rounded hover:text-ink hover:underline">
            {t("title")}
          </Link>
          {parent && (
            <>
              <span aria-hidden>/</span>
              <span className="sr-only">{t("parent.label")}</span>
              <Link
                to="/keys/$id"
                params={{ id: String(parent.id) }}
                search={whose}
                className="rounded break-all hover:text-ink hover:underline"
              >
                {parent.name}
              </Link>
            </>
          )}
        </span>
      }
      actions={
        mayChange && (
          <>
            <Button icon={<Pencil aria-hidden className="size-3.5" />} onClick={() => setOpen("edit")}>
              {common("action.edit")}
            </Button>
            <Button icon={<RotateCw aria-hidden className="size-3.5" />} onClick={() => setOpen("rotate")}>
              {t("rotate.action")}
            </Button>
            <Button
              busy={setStatus.isPending}
              disabled={stuck}
              title={stuck ? t("parent.toggle") : undefined}
              onClick={() => setStatus.mutate({ keys: [key], status: disabled ? 1 : 2 })}
            >
              {disabled ? common("action.enable") : common("action.disable")}
            </Button>
            <Menu
              trigger={
                <IconButton label={t("more")} className="border border-edge/60">
                  <MoreHorizontal aria-hidden className="size-4" />
                </IconButton>
              }
            >
              {!key.unlimited_quota && (
                <MenuItem icon={<CircleDollarSign aria-hidden className="size-4" />} onSelect={() => setOpen("top-up")}>
                  {t("topUp.action")}
                </MenuItem>
              )}
              <MenuItem icon={<ShieldQuestion aria-hidden className="size-4" />} onSelect={() => setOpen("verify")}>
                {t("verify.action")}
              </MenuItem>
              <MenuSeparator />
              <MenuItem danger icon={<Trash2 aria-hidden className="size-4" />} onSelect={() => setOpen("delete")}>
                {t("delete.action")}
              </MenuItem>
            </Menu>
          </>
        )
      }
    >
      <OwnerNote owner={owner} mayChange={mayChange} />
      {parent && <ParentNote of={parent} whose={whose} />}
      <div className="flex flex-col gap-4">
        <Figures of={key} parent={parent} />
        <Usage id={id} user={other} />
        <div className="grid items-start gap-4 xl:grid-cols-[1fr_24rem]">
          <div className="flex min-w-0 flex-col gap-4">
            <Requests id={id} user={other} />
            {parentId === 0 && (
              <Children of={key} user={other} onIssue={mayChange ? () => setOpen("issue") : undefined} />
            )}
            <ValuesCard of={key} user={other} mayChange={mayChange} />
          </div>
          <Rules of={key} parent={parent} whose={whose} />
        </div>
      </div>
      {open === "edit" && <KeyPanel {...layer("edit")} before={key} onSaved={shut} />}
      {open === "issue" && (
        <KeyPanel
          {...layer("issue")}
          parent={key}
          onSaved={(child) => {
            shut();
            setMade(child);
          }}
        />
      )}
      {/* Each is made anew when it opens: what was refused or typed before is past. */}
      {open === "rotate" && (
        <RotateDialog
          {...layer("rotate")}
          of={key}
          onRotated={(rotated) => {
            shut();
            setMade(rotated);
          }}
        />
      )}
      {open === "top-up" && <TopUpDialog {...layer("top-up")} of={key} />}
      <VerifyPanel {...layer("verify")} of={key} />
      {open === "delete" && (
        <DeleteDialog
          {...layer("delete")}
          of={key}
          onDeleted={() =>
            void (parent
              ? navigate({ to: "/keys/$id", params: { id: String(parent.id) }, search: whose })
              : navigate({ to: "/keys", search: whose }))
          }
        />
      )}
      <ValueDialog made={made} onClose={() => setMade(undefined)} />
    </Page>
  );
}

type Whose = { user?: number };

/** Says why a child does not work though nothing is wrong with itself. */
function ParentNote({ of: parent, whose }: { of: Key; whose: Whose }) {
  const { t } = useTranslation("keys");
  if (parent.status === 1) return null;
  return (
    <div role="note" className="mb-4 flex items-start gap-2 rounded-md bg-warn-soft px-3 py-2 text-sm text-warn">
      <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
      <p className="min-w-0 break-words">
        {t(`parent.stopped.${parent.status}`, { name: parent.name })}{" "}
        <Link
          to="/keys/$id"
          params={{ id: String(parent.id) }}
          search={whose}
          className="rounded font-medium whitespace-nowrap underline"
        >
          {t("parent.open")}
        </Link>
      </p>
    </div>
  );
}

function Figures({ of: key, parent }: { of: Key; parent: Key | undefined }) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  // A child without an end has its parent's.
  const inherits = key.expired_time < 0 && parent !== undefined && parent.expired_time >= 0;
  const granted = key.remain_quota + key.used_quota + key.held_quota;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Stat
        label={t("column.remaining")}
        value={key.unlimited_quota ? t("unlimited") : format.units(key.remain_quota)}
        note={
          key.unlimited_quota && parent && !parent.unlimited_quota ? (
            t("form.child.unlimited", { left: format.units(parent.remain_quota) })
          ) : !key.unlimited_quota && granted > 0 ? (
            <Meter label={t("usedShare")} value={key.used_quota + key.held_quota} max={granted} className="mt-1.5" />
          ) : undefined
        }
      />
      <Stat
        label={t("column.used")}
        value={format.units(key.used_quota)}
        note={key.held_quota > 0 ? t("held", { amount: format.units(key.held_quota) }) : undefined}
      />
      <Stat
        label={t("column.lastUsed")}
        value={wasUsed(key) ? format.ago(key.accessed_time) : t("never")}
        note={t("createdOn", { date: format.date(key.created_time) })}
      />
      <Stat
        label={t("column.expires")}
        value={key.expired_time < 0 ? t("form.expiry.never") : format.ago(key.expired_time)}
        note={
          inherits
            ? t("parent.ends", { when: format.ago(parent.expired_time) })
            : key.expired_time < 0
              ? undefined
              : format.dateTime(key.expired_time)
        }
      />
    </div>
  );
}

interface OfKey {
  id: number;
  /** Whose key it is, when not the viewer's. */
  user: number | undefined;
}

function Usage({ id, user }: OfKey) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const { period: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const period = parsePeriod(chosen, "7d");
  const minute = Math.floor(Date.now() / 60_000) * 60;
  // biome-ignore lint/correctness/useExhaustiveDependencies: periodText stands for the period
  const range = useMemo(() => rangeOf(period, minute, format.zone), [periodText(period), minute, format.zone]);
  const { data: points, error, refetch } = useQuery(keyUsageQuery(id, range, format.zone, user));
  const { times, series, usd, requests } = useMemo(() => {
    const times = bucketsOf(range, format.zone);
    const parts = partsOf(points ?? [], times);
    const { usd, requests } = sumUp(points ?? []);
    const all = parts.map((part) => ({ label: part.name || "—", values: part.spend }));
    const rest = all.slice(7);
    const series =
      rest.length < 2
        ? all
        : [
            ...all.slice(0, 7),
            {
              label: t("otherModels"),
              values: times.map((_, i) => rest.reduce((sum, one) => sum + (one.values[i] ?? 0), 0)),
            },
          ];
    return { times, series, usd, requests };
  }, [points, range, format.zone, t]);
  return (
    <Card
      title={t("usage.title")}
      actions={
        <PeriodPicker
          value={period}
          onChange={(to: Period) =>
            void navigate({ search: (now) => ({ ...now, period: periodText(to) }), replace: true })
          }
        />
      }
    >
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : points === undefined ? (
        <Skeleton className="h-56 w-full" />
      ) : series.length === 0 ? (
        <Empty title={t("usage.none")}>{t("usage.noneHelp")}</Empty>
      ) : (
        <>
          <p className="mb-3 text-sm text-soft">
            {t("usage.sum", { amount: format.usd(usd), count: requests, requests: format.number(requests) })}
          </p>
          <Suspense fallback={<Skeleton className="h-56 w-full" />}>
            <TimeChart
              label={t("usage.title")}
              times={times}
              bucket={range.bucket}
              series={series}
              format={format.usd}
            />
          </Suspense>
        </>
      )}
    </Card>
  );
}

function Requests({ id, user }: OfKey) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const { data: page, error, refetch } = useQuery(keyRequestsQuery(id, user));
  const columns = useMemo<Column<Schemas["Usage"]>[]>(
    () => [
      {
        id: "time",
        header: t("requests.time"),
        cell: (row) => <span title={format.exact(row.time)}>{format.ago(row.time)}</span>,
        from: "sm",
        className: "whitespace-nowrap",
      },
      {
        id: "model",
        header: t("requests.model"),
        yields: true,
        cell: (row) => (
          <>
            <code className="block truncate font-mono text-xs sm:max-w-56">{row.model || "—"}</code>
            <span className="text-xs text-faint sm:hidden">{format.ago(row.time)}</span>
          </>
        ),
      },
      {
        id: "status",
        header: t("column.status"),
        cell: (row) => (
          <Badge tone={row.status < 400 ? "good" : row.status < 500 ? "warn" : "bad"}>
            {row.status}
            {row.error_code && <span className="max-sm:hidden">{row.error_code}</span>}
          </Badge>
        ),
      },
      {
        id: "tokens",
        header: t("requests.tokens"),
        align: "right",
        from: "md",
        cell: (row) => format.number(row.prompt_tokens + row.completion_tokens),
      },
      {
        id: "latency",
        header: t("requests.latency"),
        align: "right",
        from: "md",
        cell: (row) => format.milliseconds(row.latency_ms),
      },
      { id: "cost", header: t("requests.cost"), align: "right", cell: (row) => format.usd(row.usd) },
    ],
    [t, format],
  );
  return (
    <Card title={t("requests.title")} flush>
      <Table
        label={t("requests.title")}
        columns={columns}
        rows={page?.items}
        rowId={(row) => String(row.id)}
        error={error}
        retry={() => void refetch()}
        empty={<Empty title={t("requests.none")}>{t("requests.noneHelp")}</Empty>}
      />
    </Card>
  );
}

function ValuesCard({ of: key, user, mayChange }: { of: Key; user: number | undefined; mayChange: boolean }) {
  const { t } = useTranslation("keys");
  const { data: page, error, refetch } = useQuery(keyValuesQuery(key.id, user));
  return (
    <Card title={t("values.title")} flush>
      <Values of={key} mayChange={mayChange} rows={page?.items} error={error} retry={() => void refetch()} />
    </Card>
  );
}

function Rules({ of: key, parent, whose }: { of: Key; parent: Key | undefined; whose: Whose }) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const periodWords = usePeriodWords();
  const { limits } = key;
  const list = (values: readonly string[]): ReactNode => (
    <span className="flex flex-wrap gap-1">
      {values.map((value) => (
        <code key={value} className="rounded bg-hover px-1.5 font-mono text-xs leading-5 break-all">
          {value}
        </code>
      ))}
    </span>
  );
  const limited = rates
    .filter((rate) => limits[rate] !== null && limits[rate] !== undefined)
    .map((rate) => ({ label: t(`form.rate.${rate}`), value: format.number(limits[rate] ?? 0) }));
  const open = !key.key.includes("…");
  return (
    <Card title={t("rules.title")}>
      <Facts
        items={[
          {
            label: t("column.key"),
            value: (
              <span className={`flex items-center gap-1 ${open ? "-my-1" : ""}`}>
                <code className="font-mono text-xs">{masked(key.key)}</code>
                {open && <CopyButton value={key.key} label={t("value.copy")} />}
              </span>
            ),
          },
          ...(parent
            ? [
                {
                  label: t("parent.label"),
                  value: (
                    <Link
                      to="/keys/$id"
                      params={{ id: String(parent.id) }}
                      search={whose}
                      className="rounded text-accent break-all hover:underline"
                    >
                      {parent.name}
                    </Link>
                  ),
                },
              ]
            : []),
          {
            label: t("column.group"),
            value: key.group === "" ? t("form.ownGroup") : key.group === "auto" ? t("form.autoGroup") : key.group,
          },
          {
            label: t("form.models"),
            value: key.model_limits_enabled
              ? list(key.model_limits.split(",").filter(Boolean))
              : parent?.model_limits_enabled
                ? t("form.child.models")
                : t("form.allModels"),
          },
          {
            label: t("form.addresses"),
            value: key.allow_ips
              ? list(key.allow_ips.split("\n"))
              : t(parent?.allow_ips ? "form.child.asParent" : "form.anyAddress"),
          },
          {
            label: t("form.endpoints"),
            value: limits.endpoints
              ? list(limits.endpoints)
              : t(parent?.limits.endpoints ? "form.child.asParent" : "form.allEndpoints"),
          },
          ...(limited.length > 0 ? limited : [{ label: t("form.rates"), value: t("form.noLimit") }]),
          ...Object.entries(limits.per_model ?? {}).map(([model, rate]) => ({
            label: <code className="font-mono text-xs break-all">{model}</code>,
            value: modelRates
              .filter((name) => rate[name] !== null && rate[name] !== undefined)
              .map((name) => t("rules.rate", { rate: t(`form.rate.${name}`), value: format.number(rate[name] ?? 0) }))
              .join(" · "),
          })),
          ...Object.entries(limits.metadata ?? {}).map(([name, text]) => ({
            label: <span className="break-all">{name}</span>,
            value: <span className="break-all">{text}</span>,
          })),
        ]}
      />
      {limits.budgets && limits.budgets.length > 0 && (
        <div className="mt-4 flex flex-col gap-3 border-t pt-4">
          <h3 className="text-sm font-medium">{t("form.budgets")}</h3>
          {limits.budgets.map((budget) => (
            <div key={`${budget.period}-${budget.amount}`} className="text-sm">
              <div className="mb-1 flex justify-between gap-2">
                <span>
                  {t("rules.budget", { used: format.units(budget.used), amount: format.units(budget.amount) })} ·{" "}
                  {periodWords(budget.period)}
                </span>
                <span className="text-soft">{t("rules.renews", { when: format.ago(budget.renews_at) })}</span>
              </div>
              <Meter label={t("usedShare")} value={budget.used} max={budget.amount} />
            </div>
          ))}
        </div>
      )}
    </Card>
  );
}
