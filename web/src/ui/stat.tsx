import { ArrowDownRight, ArrowUpRight } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { Skeleton } from "./states";

interface Props {
  label: ReactNode;
  /** Undefined while it is loading. */
  value: ReactNode | undefined;
  /** The number, and what it was in the period before: shown as a change. */
  now?: number | undefined;
  before?: number | undefined;
  /** Whether more of it is worse, as with errors. */
  lessIsBetter?: boolean;
  note?: ReactNode;
  sparkline?: ReactNode;
}

/** One figure with its name, and how it has changed. */
export function Stat({ label, value, now, before, lessIsBetter, note, sparkline }: Props) {
  return (
    <div className="flex min-w-0 flex-col gap-1 rounded-lg border bg-canvas px-4 py-3">
      <div className="text-xs text-soft">{label}</div>
      <div className="flex flex-wrap items-baseline gap-x-2">
        {value === undefined ? (
          <Skeleton className="my-1 h-5 w-20" />
        ) : (
          <span className="min-w-0 text-xl font-semibold break-words max-sm:text-lg">{value}</span>
        )}
        {now !== undefined && before !== undefined && before !== 0 && (
          <Change share={(now - before) / before} lessIsBetter={lessIsBetter} />
        )}
      </div>
      {note && <div className="text-xs text-soft">{note}</div>}
      {sparkline}
    </div>
  );
}

function Change({ share, lessIsBetter }: { share: number; lessIsBetter: boolean | undefined }) {
  const { t } = useTranslation();
  const { percent } = useFormat();
  if (Math.abs(share) < 0.001) return <span className="text-xs text-soft">±{percent(0)}</span>;
  const Icon = share > 0 ? ArrowUpRight : ArrowDownRight;
  const tone = lessIsBetter === undefined ? "text-soft" : share > 0 === lessIsBetter ? "text-bad" : "text-good";
  return (
    <span className={`inline-flex items-center text-xs ${tone}`} title={t("stat.before")}>
      <Icon aria-hidden className="size-3.5" />
      {percent(Math.abs(share))}
    </span>
  );
}

/** A line without axes. It says nothing to readers: the figure beside it does. */
export function Sparkline({ values, className }: { values: readonly number[]; className?: string }) {
  const width = 120;
  const height = 28;
  const top = Math.max(...values, 0) || 1;
  const step = values.length > 1 ? width / (values.length - 1) : width;
  const points = values.map(
    (value, i) => `${(i * step).toFixed(1)},${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`,
  );
  return (
    <svg
      aria-hidden
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      className={className ?? "h-7 w-full"}
    >
      <polygon points={`0,${height} ${points.join(" ")} ${width},${height}`} className="fill-accent/10" />
      <polyline
        points={points.join(" ")}
        fill="none"
        className="stroke-accent"
        strokeWidth="1.5"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}

/** How much of something is used. */
export function Meter({
  value,
  max,
  label,
  className,
}: {
  value: number;
  max: number;
  label: string;
  className?: string;
}) {
  const share = max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  const tone = share >= 1 ? "fill-bad" : share >= 0.8 ? "fill-warn" : "fill-accent";
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={1}
      aria-valuenow={Number(share.toFixed(3))}
      className={className}
    >
      <svg
        aria-hidden
        viewBox="0 0 100 4"
        preserveAspectRatio="none"
        className="h-1 w-full overflow-hidden rounded-full"
      >
        <rect width="100" height="4" className="fill-hover" />
        <rect width={share * 100} height="4" className={tone} />
      </svg>
    </div>
  );
}
