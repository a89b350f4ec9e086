import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { usdOf } from "@/format/money";
import { useOther } from "@/screens/keys/owner";
import { Badge } from "@/ui/badge";
import { CopyButton } from "@/ui/copy";
import { SidePanel } from "@/ui/dialog";
import { Facts } from "@/ui/page";
import { Attempts, ChannelName } from "./attempts";

type Usage = Schemas["Usage"];

/** What a status looks like. */
export function StatusBadge({ row }: { row: Usage }) {
  return (
    <Badge tone={row.status < 400 ? "good" : row.status < 500 ? "warn" : "bad"}>
      {row.status || "—"}
      {row.error_code && <span className="max-lg:hidden">{row.error_code}</span>}
    </Badge>
  );
}

interface Props {
  row: Usage | undefined;
  onClose: () => void;
}

/** Everything that was recorded of one request. */
export function RequestPanel({ row, onClose }: Props) {
  const { t } = useTranslation("usage");
  const format = useFormat();
  const other = useOther(row?.user_id);
  const whose = other === undefined ? {} : { user: other };
  if (!row) return null;
  return (
    <SidePanel
      open
      onOpenChange={(open) => !open && onClose()}
      wide
      title={
        <span className="flex flex-wrap items-center gap-2">
          <span className="font-mono text-base break-all">{row.model || t("panel.noModel")}</span>
          <StatusBadge row={row} />
        </span>
      }
      description={format.exact(row.time)}
    >
      <div className="flex flex-col gap-6">
        <Timings row={row} />
        <div className="grid gap-6 sm:grid-cols-2">
          <Part title={t("panel.tokens")}>
            <Tokens row={row} />
          </Part>
          <Part title={t("panel.money")}>
            <Money row={row} />
          </Part>
        </div>
        <Part title={t("panel.request")}>
          <Facts
            items={[
              {
                label: t("panel.requestId"),
                value: (
                  <span className="-my-1 flex items-center gap-1">
                    <code className="min-w-0 font-mono text-xs break-all">{row.request_id}</code>
                    <CopyButton value={row.request_id} label={t("panel.copyRequest")} small />
                  </span>
                ),
              },
              ...(row.error_code
                ? [{ label: t("panel.error"), value: <code className="font-mono text-xs">{row.error_code}</code> }]
                : []),
              {
                label: t("column.key"),
                value: (
                  <Link
                    to="/keys/$id"
                    params={{ id: String(row.key_id) }}
                    search={whose}
                    className="rounded hover:underline"
                  >
                    {row.key_name || `#${row.key_id}`}
                  </Link>
                ),
              },
              ...(row.parent_id
                ? [
                    {
                      label: t("panel.parent"),
                      value: (
                        <Link
                          to="/keys/$id"
                          params={{ id: String(row.parent_id) }}
                          search={whose}
                          className="rounded hover:underline"
                        >
                          #{row.parent_id}
                        </Link>
                      ),
                    },
                  ]
                : []),
              { label: t("panel.dialect"), value: `${row.dialect} · ${row.endpoint}` },
              { label: t("panel.stream"), value: row.stream ? t("panel.streamed") : t("panel.whole") },
              ...(row.end_user ? [{ label: t("panel.endUser"), value: row.end_user }] : []),
              { label: t("panel.ip"), value: row.ip || "—" },
            ]}
          />
        </Part>
        <Part title={t("panel.route")}>
          <Facts
            items={[
              {
                label: t("panel.attempts"),
                value: row.attempts === 0 ? t("panel.noAttempt") : format.number(row.attempts),
              },
              { label: t("panel.group"), value: row.group || "—" },
              { label: t("panel.channel"), value: row.channel_id ? <ChannelName id={row.channel_id} /> : "—" },
              {
                label: t("panel.served"),
                value: row.served_model ? <code className="font-mono text-xs break-all">{row.served_model}</code> : "—",
              },
            ]}
          />
        </Part>
        {row.trail && row.trail.length > 0 && (
          <Part title={t("panel.trail")}>
            <Attempts row={row} />
          </Part>
        )}
      </div>
    </SidePanel>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-2 border-b pb-1.5 text-sm font-medium">{title}</h3>
      {children}
    </section>
  );
}

/** The time to the first byte and the rest, as one bar. */
function Timings({ row }: { row: Usage }) {
  const { t } = useTranslation("usage");
  const format = useFormat();
  const first = Math.min(row.first_byte_ms, row.latency_ms);
  const share = row.latency_ms > 0 ? (first / row.latency_ms) * 100 : 0;
  return (
    <Part title={t("panel.timing")}>
      <svg aria-hidden viewBox="0 0 100 6" preserveAspectRatio="none" className="h-2 w-full overflow-hidden rounded">
        <rect width="100" height="6" className={row.latency_ms > 0 ? "fill-chart-2" : "fill-hover"} />
        <rect width={share} height="6" className="fill-chart-1" />
      </svg>
      <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm">
        {first > 0 && (
          <>
            <Legend swatch="bg-chart-1" label={t("panel.firstByte")} value={format.milliseconds(first)} />
            <Legend swatch="bg-chart-2" label={t("panel.rest")} value={format.milliseconds(row.latency_ms - first)} />
          </>
        )}
        <Legend label={t("panel.total")} value={format.milliseconds(row.latency_ms)} />
        {row.completion_tokens > 0 && row.latency_ms > first && (
          <Legend
            label={t("panel.speed")}
            value={t("panel.perSecond", {
              count: Math.round((row.completion_tokens / (row.latency_ms - (row.stream ? first : 0))) * 1000),
            })}
          />
        )}
      </dl>
    </Part>
  );
}

function Legend({ swatch, label, value }: { swatch?: string; label: string; value: string }) {
  return (
    <div className="flex items-center gap-1.5">
      {swatch && <span aria-hidden className={`size-2 rounded-[2px] ${swatch}`} />}
      <dt className="text-soft">{label}</dt>
      <dd className="font-medium">{value}</dd>
    </div>
  );
}

function Tokens({ row }: { row: Usage }) {
  const { t } = useTranslation("usage");
  const { number } = useFormat();
  const rows = [
    { name: t("tokens.input"), count: row.prompt_tokens, whole: true },
    { name: t("tokens.cached"), count: row.cached_tokens },
    { name: t("tokens.cacheWrite"), count: row.cache_write_tokens - row.cache_write_1h_tokens },
    { name: t("tokens.cacheWriteHour"), count: row.cache_write_1h_tokens },
    { name: t("tokens.audio"), count: row.input_audio_tokens },
    { name: t("tokens.images"), count: row.input_image_tokens },
    { name: t("tokens.output"), count: row.completion_tokens, whole: true },
    { name: t("tokens.reasoning"), count: row.reasoning_tokens },
    { name: t("tokens.audio"), count: row.output_audio_tokens },
    { name: t("tokens.images"), count: row.output_image_tokens },
  ].filter((one) => one.whole || one.count > 0);
  return (
    <>
      <dl className="flex flex-col gap-1.5 text-sm">
        {rows.map((one, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they do not move
          <div key={i} className="flex justify-between gap-3">
            <dt className={one.whole ? "" : "pl-3 text-soft"}>{one.name}</dt>
            <dd className={one.whole ? "font-medium" : "text-soft"}>{number(one.count)}</dd>
          </div>
        ))}
        {row.searches > 0 && (
          <div className="flex justify-between gap-3">
            <dt>{t("tokens.searches")}</dt>
            <dd className="font-medium">{number(row.searches)}</dd>
          </div>
        )}
      </dl>
      <p className="mt-2 text-xs text-soft">{t(`source.${row.usage_source}`)}</p>
    </>
  );
}

function Money({ row }: { row: Usage }) {
  const { t } = useTranslation("usage");
  const format = useFormat();
  const back = Math.max(0, Number(row.held) - Number(row.quota));
  const line = (name: string, value: ReactNode, strong = false) => (
    <div className="flex justify-between gap-3">
      <dt className={strong ? "font-medium" : "text-soft"}>{name}</dt>
      <dd className={strong ? "font-medium" : ""}>{value}</dd>
    </div>
  );
  return (
    <>
      <dl className="flex flex-col gap-1.5 text-sm">
        {line(t("money.held"), format.units(row.held))}
        {line(t("money.charged"), format.usd(row.usd), true)}
        {back > 0 && line(t("money.back"), format.usd(usdOf(back)))}
        {Number(row.absorbed) > 0 && line(t("money.absorbed"), format.units(row.absorbed))}
      </dl>
      {row.price_version && (
        <p className="mt-2 text-xs break-all text-soft">
          {t("money.version")} <code className="font-mono">{row.price_version}</code>
        </p>
      )}
    </>
  );
}
