import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useDark } from "@/app/preferences";
import { useFormat } from "@/format/format";

export interface Series {
  label: string;
  /** One per instant. */
  values: readonly number[];
}

interface Props {
  /** What the chart shows, for those who do not see it. */
  label: string;
  /** The buckets' starts, in Unix seconds. */
  times: readonly number[];
  bucket: "hour" | "day";
  /** Stacked, the first at the bottom. */
  series: readonly Series[];
  /** How a value is told: format.usd, format.number. */
  format: (value: number) => string;
  height?: number;
}

/** How many series have a colour of their own; put the rest together before. */
export const mostSeries = 8;

/** Stacked bars over time, with a table for those who do not see them. */
export function TimeChart({ label, times, bucket, series, format, height = 220 }: Props) {
  const { t } = useTranslation();
  const { zone, language } = useFormat();
  const dark = useDark();
  const host = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<{ index: number; left: number } | null>(null);
  const tick = useMemo(
    () =>
      bucket === "hour"
        ? new Intl.DateTimeFormat(language, { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
        : new Intl.DateTimeFormat(language, { timeZone: zone, month: "short", day: "numeric" }),
    [bucket, language, zone],
  );
  const told = useMemo(
    () =>
      new Intl.DateTimeFormat(language, {
        timeZone: zone,
        weekday: "short",
        month: "short",
        day: "numeric",
        ...(bucket === "hour" ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" as const } : {}),
      }),
    [bucket, language, zone],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: dark is what the colours are read from
  useEffect(() => {
    const element = host.current;
    if (!element || times.length === 0) return;
    const colour = (name: string) => resolved(element, `var(--color-${name})`);
    const stacked = stack(times.length, series);
    const bars = uPlot.paths.bars?.({ size: [0.72, 48], radius: 0.12, gap: 1 });
    const grid = { stroke: colour("line"), width: 1 };
    const font = `11px ${getComputedStyle(element).fontFamily}`;
    const plot = new uPlot(
      {
        width: element.clientWidth || 600,
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: true, range: () => edges(times) },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
        },
        axes: [
          {
            stroke: colour("soft"),
            font,
            grid: { show: false },
            ticks: { show: false },
            size: 26,
            space: 64,
            splits: (self) => spread(times, Math.max(2, Math.floor(self.bbox.width / devicePixelRatio / 72))),
            values: (_, splits) => splits.map((instant) => tick.format(instant * 1000)),
          },
          {
            stroke: colour("soft"),
            font,
            grid,
            ticks: { show: false },
            size: 62,
            gap: 6,
            space: 40,
            values: (_, splits) => splits.map(format),
          },
        ],
        // The whole stack first, then less and less of it, drawn over it.
        series: [
          {},
          ...series
            .map((_, i): uPlot.Series => {
              const fill = colour(`chart-${(i % mostSeries) + 1}`);
              return { fill, stroke: fill, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) };
            })
            .reverse(),
        ],
        hooks: {
          setCursor: [
            (self) => {
              const { idx, left } = self.cursor;
              setAt(
                typeof idx === "number" && left !== undefined && left >= 0
                  ? { index: idx, left: self.valToPos(times[idx] ?? 0, "x") + self.bbox.left / devicePixelRatio }
                  : null,
              );
            },
          ],
        },
      },
      [[...times], ...stacked.reverse()],
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
      setAt(null);
    };
  }, [times, series, height, format, tick, dark]);

  const rows =
    at && series.map((one, i) => ({ ...one, value: one.values[at.index] ?? 0, i })).filter((one) => one.value > 0);
  const width = host.current?.clientWidth ?? 0;
  return (
    <figure aria-label={label} className="relative">
      <div ref={host} aria-hidden className="w-full overflow-hidden" />
      {at && rows && (
        <div
          aria-hidden
          // React sets this through the style object, which the page's policy allows.
          style={at.left > width / 2 ? { right: width - at.left + 12 } : { left: at.left + 12 }}
          className="pointer-events-none absolute top-2 z-10 max-w-64 rounded-md border bg-raised px-2.5 py-1.5 text-xs shadow-pop"
        >
          <p className="text-soft">{told.format((times[at.index] ?? 0) * 1000)}</p>
          {rows.length === 0 && <p>{format(0)}</p>}
          {rows.toReversed().map((one) => (
            <p key={one.label} className="flex items-center gap-2">
              <Swatch index={one.i} />
              <span className="min-w-0 flex-1 truncate">{one.label}</span>
              <span className="font-medium">{format(one.value)}</span>
            </p>
          ))}
          {rows.length > 1 && (
            <p className="mt-1 flex justify-between border-t pt-1">
              <span>{t("chart.total")}</span>
              <span className="font-medium">{format(rows.reduce((sum, one) => sum + one.value, 0))}</span>
            </p>
          )}
        </div>
      )}
      {series.length > 1 && (
        <ul className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-soft">
          {series.map((one, i) => (
            <li key={one.label} className="flex max-w-full items-center gap-1.5">
              <Swatch index={i} />
              <span className="truncate">{one.label}</span>
            </li>
          ))}
        </ul>
      )}
      <div className="sr-only">
        <table>
          <caption>{label}</caption>
          <thead>
            <tr>
              <th scope="col">{t("chart.time")}</th>
              {series.map((one) => (
                <th key={one.label} scope="col">
                  {one.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {times.map((time, row) => (
              <tr key={time}>
                <th scope="row">{told.format(time * 1000)}</th>
                {series.map((one) => (
                  <td key={one.label}>{format(one.values[row] ?? 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

const swatches = [
  "bg-chart-1",
  "bg-chart-2",
  "bg-chart-3",
  "bg-chart-4",
  "bg-chart-5",
  "bg-chart-6",
  "bg-chart-7",
  "bg-chart-8",
];

/** The colour of a series of a chart. */
export function Swatch({ index }: { index: number }) {
  return <span aria-hidden className={`size-2 shrink-0 rounded-[2px] ${swatches[index % mostSeries]}`} />;
}

/** A CSS colour as a canvas understands it. */
function resolved(beside: Element, colour: string): string {
  const probe = document.createElement("span");
  probe.style.color = colour;
  beside.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Each series with those below it added. */
function stack(length: number, series: readonly Series[]): number[][] {
  const sum = new Array<number>(length).fill(0);
  return series.map((one) => {
    for (let i = 0; i < length; i++) sum[i] = (sum[i] ?? 0) + (one.values[i] ?? 0);
    return [...sum];
  });
}

/** The ends of the axis, half a bucket beside the first and the last bar. */
function edges(times: readonly number[]): [number, number] {
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? first;
  const half = times.length > 1 ? (last - first) / (times.length - 1) / 2 : 1800;
  return [first - half, last + half];
}

/** At most so many of the instants, evenly spread. */
function spread(times: readonly number[], most: number): number[] {
  const step = Math.max(1, Math.ceil(times.length / most));
  return times.filter((_, i) => i % step === 0);
}
