import { useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX, Stethoscope } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, Facts, Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Stat } from "@/ui/stat";
import { Empty, PageLoading } from "@/ui/states";
import { type Column, Table } from "@/ui/table";

type Node = Schemas["SystemNode"];

/** How the server, its database and the servers beside it are doing. */
export function SystemScreen() {
  const { t } = useTranslation("system");
  const format = useFormat();
  const system = useQuery({
    queryKey: ["system", "state"],
    queryFn: ({ signal }) => data(api.GET("/api/system/", { signal })),
    refetchInterval: 5_000,
  });
  const columns = useMemo<Column<Node>[]>(
    () => [
      {
        id: "node",
        header: t("node.name"),
        cell: (node) => (
          <div className="max-w-48">
            <span className="flex items-center gap-1.5">
              <span className="truncate font-medium">{node.hostname}</span>
              {node.this && <Badge tone="accent">{t("node.this")}</Badge>}
            </span>
            <span className="block truncate text-xs text-faint">{node.listen}</span>
          </div>
        ),
      },
      {
        id: "state",
        header: t("node.state"),
        cell: (node) => (
          <Badge tone={node.live ? "good" : "bad"}>{node.live ? t("node.live") : t("node.silent")}</Badge>
        ),
      },
      { id: "version", header: t("node.version"), from: "sm", cell: (node) => node.version },
      { id: "started", header: t("node.started"), from: "md", cell: (node) => format.ago(node.started) },
      { id: "seen", header: t("node.seen"), from: "sm", cell: (node) => format.ago(node.seen) },
    ],
    [t, format],
  );
  if (system.error && !system.data) {
    return (
      <Page title={t("title")}>
        <Problem error={system.error} retry={() => void system.refetch()} large />
      </Page>
    );
  }
  if (!system.data) return <PageLoading />;
  const { database, journal, queue, leases, nodes, ...server } = system.data;
  const rows = (items: [ReactNode, ReactNode][]) => items.map(([label, value]) => ({ label, value }));
  const count = (value: number) => (value > 0 ? <span className="text-bad">{format.number(value)}</span> : "0");
  return (
    <Page title={t("title")}>
      {system.error ? <Problem error={system.error} className="mb-4" /> : null}
      <div className="mb-4 grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat label={t("stat.version")} value={server.version} note={`${server.go} · ${server.platform}`} />
        <Stat
          label={t("stat.nodes")}
          value={format.number(nodes.filter((node) => node.live).length)}
          note={t("stat.uptime", { when: format.ago(server.started) })}
        />
        <Stat
          label={t("stat.database")}
          value={database.engine === "sqlite" ? "SQLite" : "PostgreSQL"}
          note={`${database.version} · ${bytes(database.bytes, format.language)}`}
        />
        <Stat
          label={t("stat.queue")}
          value={format.number(queue.records)}
          note={queue.records > 0 ? t("stat.oldest", { time: format.milliseconds(queue.oldest_ms) }) : t("stat.idle")}
        />
      </div>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Card title={t("nodes")} flush className="lg:col-span-2">
          <Table
            label={t("nodes")}
            columns={columns}
            rows={nodes}
            rowId={(node) => `${node.hostname} ${node.listen} ${node.started}`}
            empty={<Empty title={t("node.none")} />}
          />
        </Card>
        <Card title={t("journal.title")}>
          <Facts
            items={rows([
              [t("journal.records"), format.number(journal.records)],
              [t("journal.bytes"), bytes(journal.bytes, format.language)],
              [t("journal.failures"), count(journal.failures)],
              [t("journal.torn"), count(journal.torn)],
              [t("journal.damaged"), count(journal.damaged)],
              [t("journal.full"), journal.full ? t("yes") : t("no")],
              [t("queue.flushErrors"), count(queue.flush_errors)],
              [t("queue.setAside"), count(queue.set_aside)],
              [t("queue.dropped"), count(queue.dropped)],
            ])}
          />
        </Card>
        <Card title={t("leases.title")}>
          {leases ? (
            <Facts
              items={rows([
                [t("leases.servers"), format.number(leases.servers)],
                [t("leases.term"), format.milliseconds(leases.term_s * 1000)],
                [t("leases.taken"), format.number(leases.taken)],
                [t("leases.recalls"), format.number(leases.recalls)],
                [t("leases.lapsed"), count(leases.lapsed)],
              ])}
            />
          ) : (
            <p className="text-sm text-soft">{t("leases.none")}</p>
          )}
          <div className="mt-4 border-t pt-4">
            <Facts
              items={rows([
                [t("database.schema"), String(database.schema)],
                [t("clock"), format.exact(server.now)],
              ])}
            />
          </div>
        </Card>
        <Doctor />
      </div>
    </Page>
  );
}

/** What needs mending; it is asked for, as every upstream is. */
function Doctor() {
  const { t } = useTranslation("system");
  const { t: common } = useTranslation();
  const { number } = useFormat();
  const queries = useQueryClient();
  const doctor = useQuery({
    queryKey: ["system", "doctor"],
    queryFn: ({ signal }) => data(api.GET("/api/system/doctor", { signal })),
    enabled: false,
    staleTime: 0,
  });
  const findings = useMemo(() => [...(doctor.data ?? [])].sort((a, b) => Number(a.ok) - Number(b.ok)), [doctor.data]);
  const ill = findings.filter((one) => !one.ok).length;
  return (
    <Card
      title={t("doctor.title")}
      flush
      className="lg:col-span-2"
      actions={
        <span className="flex gap-2">
          {doctor.isFetching && (
            <Button size="small" onClick={() => void queries.cancelQueries({ queryKey: ["system", "doctor"] })}>
              {common("action.cancel")}
            </Button>
          )}
          <Button
            size="small"
            busy={doctor.isFetching}
            icon={<Stethoscope aria-hidden className="size-3.5" />}
            onClick={() => void doctor.refetch()}
          >
            {t("doctor.run")}
          </Button>
        </span>
      }
    >
      <div aria-live="polite">
        {doctor.error ? <Problem error={doctor.error} className="m-4" /> : null}
        {!doctor.data && !doctor.error && <p className="px-4 py-4 text-sm text-soft">{t("doctor.help")}</p>}
        {doctor.data && (
          <>
            <p className="px-4 py-2.5 text-sm">
              {ill === 0
                ? t("doctor.well", { count: findings.length })
                : t("doctor.ill", { count: ill, n: number(ill) })}
            </p>
            <ul className="divide-y border-t">
              {findings.map((one) => {
                const Icon = one.ok ? CircleCheck : CircleX;
                return (
                  <li key={one.what} className="flex gap-2.5 px-4 py-2 text-sm">
                    <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${one.ok ? "text-good" : "text-bad"}`} />
                    <div className="min-w-0">
                      <p>
                        <span className="font-medium">{one.what}</span>{" "}
                        <span className="break-words text-soft">{one.text}</span>
                      </p>
                      {one.mend && <p className="text-xs break-words">{t("doctor.mend", { what: one.mend })}</p>}
                    </div>
                  </li>
                );
              })}
            </ul>
          </>
        )}
      </div>
    </Card>
  );
}

/** Bytes as people read them. */
export function bytes(value: number, language: string): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  const at = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: units[at] ?? "byte",
    unitDisplay: "short",
    maximumFractionDigits: at === 0 ? 0 : 1,
  }).format(value / 1000 ** at);
}
