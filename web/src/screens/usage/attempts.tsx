import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { administers, selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { cx } from "@/ui/cx";
import { channelQuery } from "../channels/queries";

type Usage = Schemas["Usage"];
type Try = NonNullable<Usage["trail"]>[number];

/** What became of each attempt, and when it was made within the request. */
export function Attempts({ row }: { row: Usage }) {
  const { t } = useTranslation("usage");
  const format = useFormat();
  const trail = row.trail ?? [];
  if (trail.length === 0) return null;
  const whole = Math.max(row.latency_ms, ...trail.map((one) => one.began_ms + one.took_ms), 1);
  return (
    <ol className="flex flex-col divide-y text-sm" aria-label={t("panel.attempts")}>
      {trail.map((one, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they do not move
        <li key={i} className="flex flex-col gap-1.5 py-2 first:pt-0">
          <div className="flex flex-wrap items-baseline gap-x-3">
            <span className="min-w-0 flex-1 break-words">
              <ChannelName id={one.channel_id} />
            </span>
            <span className={toneOf(one)}>
              {t(`outcome.${one.outcome}`)}
              {one.detail && <span className="text-soft"> · {one.detail}</span>}
            </span>
            <span className="text-soft">{format.milliseconds(one.took_ms)}</span>
          </div>
          <svg
            aria-hidden
            viewBox="0 0 100 3"
            preserveAspectRatio="none"
            className="h-1 w-full overflow-hidden rounded"
          >
            <rect width="100" height="3" className="fill-hover" />
            <rect
              x={(one.began_ms / whole) * 100}
              width={Math.max((one.took_ms / whole) * 100, 0.5)}
              height="3"
              className={one.outcome === "success" ? "fill-chart-1" : "fill-chart-3"}
            />
          </svg>
        </li>
      ))}
    </ol>
  );
}

function toneOf({ outcome }: Try): string {
  const quiet = outcome === "client-gone" || outcome === "overtaken";
  return cx("font-medium", outcome === "success" ? "text-good" : quiet ? "text-soft" : "text-bad");
}

/** A channel by its name for those who may see channels, by its id for others. */
export function ChannelName({ id }: { id: number }) {
  const { data: self } = useQuery(selfQuery);
  const admin = administers(self);
  const channel = useQuery({ ...channelQuery(id), enabled: admin, refetchInterval: false, retry: false });
  if (!admin) return `#${id}`;
  if (!channel.data) return <span className={cx(channel.isError && "text-soft")}>#{id}</span>; // deleted, perhaps
  return (
    <Link to="/channels/$id" params={{ id: String(id) }} className="rounded hover:underline">
      {channel.data.name}
    </Link>
  );
}
