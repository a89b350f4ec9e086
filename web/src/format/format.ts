import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { selfQuery } from "@/api/queries";
import { formatUsd, usdOf } from "./money";
import { browserZone } from "./zone";

/** Numbers, money and dates as the viewer reads them. Instants are Unix seconds. */
export interface Format {
  language: string;
  zone: string;
  /** $1,234.50 of US dollars. */
  usd(usd: number): string;
  /** $1,234.50 of quota units. */
  units(units: number | string): string;
  /** 12,345 */
  number(value: number): string;
  /** 12.3K */
  compact(value: number): string;
  /** 128K of tokens, in every language as their makers write it. */
  tokens(count: number): string;
  /** 4.2% of a share from 0 to 1. */
  percent(share: number): string;
  /** 850 ms, 2.4 s, 3 min */
  milliseconds(ms: number): string;
  /** Nov 29, 2026 */
  date(seconds: number): string;
  /** Nov 29, 2026, 14:20 */
  dateTime(seconds: number): string;
  /** Nov 29, 2026, 14:20:33 GMT+1 */
  exact(seconds: number): string;
  /** 3 minutes ago, in 5 days */
  ago(seconds: number): string;
}

/** The viewer's formats: language from the console, zone from the profile or the browser. */
export function useFormat(): Format {
  const { i18n } = useTranslation();
  const { data: self } = useQuery(selfQuery);
  const language = i18n.language;
  const zone = self?.time_zone || browserZone();
  return useMemo(() => newFormat(language, zone), [language, zone]);
}

export function newFormat(language: string, zone: string): Format {
  const number = new Intl.NumberFormat(language);
  const compact = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const tokens = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const date = new Intl.DateTimeFormat(language, { timeZone: zone, dateStyle: "medium" });
  const dateTime = new Intl.DateTimeFormat(language, {
    timeZone: zone,
    dateStyle: "medium",
    timeStyle: "short",
    hourCycle: "h23",
  });
  const exact = new Intl.DateTimeFormat(language, {
    timeZone: zone,
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  });
  const unit = (name: string, value: number, digits: number) =>
    new Intl.NumberFormat(language, {
      style: "unit",
      unit: name,
      unitDisplay: "short",
      maximumFractionDigits: digits,
    }).format(value);
  return {
    language,
    zone,
    usd: (usd) => formatUsd(usd, language),
    units: (units) => formatUsd(usdOf(units), language),
    number: (value) => number.format(value),
    compact: (value) => (Math.abs(value) < 10_000 ? number.format(value) : compact.format(value)),
    tokens: (count) => (count < 10_000 ? number.format(count) : tokens.format(count)),
    percent: (share) => percent.format(share),
    milliseconds: (ms) => {
      if (ms < 1000) return unit("millisecond", Math.round(ms), 0);
      if (ms < 60_000) return unit("second", ms / 1000, ms < 10_000 ? 2 : 1);
      return unit("minute", ms / 60_000, 1);
    },
    date: (seconds) => date.format(seconds * 1000),
    dateTime: (seconds) => dateTime.format(seconds * 1000),
    exact: (seconds) => exact.format(seconds * 1000),
    ago: (seconds) => distance(seconds - Date.now() / 1000, language),
  };
}

/**
 * How far off an instant is, in whole units. It is a length of time: a day and a
 * half is neither "tomorrow" nor one day, which would both be wrong at times.
 */
export function distance(seconds: number, language: string): string {
  const size = Math.abs(seconds);
  const [name, length] = steps.find(([, , from]) => size >= from) ?? ["second", 1];
  const whole = Math.trunc(seconds / length);
  return new Intl.RelativeTimeFormat(language, { numeric: whole === 0 ? "auto" : "always" }).format(whole, name);
}

/** Units with their seconds, and from how many seconds on they are used. */
const steps: [Intl.RelativeTimeFormatUnit, number, number][] = [
  ["year", 31_536_000, 31_536_000],
  ["month", 2_592_000, 2 * 2_592_000],
  ["day", 86_400, 2 * 86_400],
  ["hour", 3600, 3600],
  ["minute", 60, 60],
];
