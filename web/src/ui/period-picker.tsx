import { CalendarDays } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { firstDate, type Period, periodText, presets, rangeOf } from "@/format/period";
import { dateOf, instantOf } from "@/format/zone";
import { Button } from "./button";
import { cx } from "./cx";
import { Field } from "./field";
import { Input } from "./input";
import { Popover } from "./popover";

interface Props {
  value: Period;
  onChange: (period: Period) => void;
}

/** A period: one of the usual ones, or from one date to another. */
export function PeriodPicker({ value, onChange }: Props) {
  const { t } = useTranslation();
  const { zone, date } = useFormat();
  const [open, setOpen] = useState(false);
  const today = dateOf(Date.now() / 1000, zone);
  const range = rangeOf(value, Date.now() / 1000, zone);
  const [from, setFrom] = useState(dateOf(range.from, zone));
  const [to, setTo] = useState(dateOf(range.to - 1, zone));
  const show = (to: boolean) => {
    if (to) {
      // The period may be another than when the page was opened.
      setFrom(dateOf(range.from, zone));
      setTo(dateOf(range.to - 1, zone));
    }
    setOpen(to);
  };
  const choose = (period: Period) => {
    onChange(period);
    setOpen(false);
  };
  const backwards = from > to;
  const text =
    "preset" in value
      ? t(`period.${value.preset}`)
      : `${date(instantOf(value.from, zone, "12:00"))} – ${date(instantOf(value.to, zone, "12:00"))}`;
  return (
    <Popover
      label={t("period.label")}
      open={open}
      onOpenChange={show}
      align="end"
      trigger={
        <Button icon={<CalendarDays aria-hidden className="size-3.5 text-soft" />}>
          <span className="sr-only">{t("period.label")}: </span>
          {text}
        </Button>
      }
    >
      <div className="flex gap-3 max-sm:flex-col">
        <ul className="flex flex-col sm:w-32">
          {presets.map((preset) => (
            <li key={preset}>
              <button
                type="button"
                onClick={() => choose({ preset })}
                aria-current={periodText(value) === preset || undefined}
                className={cx(
                  "h-8 w-full rounded px-2 text-left text-sm hover:bg-hover",
                  periodText(value) === preset && "font-medium text-accent",
                )}
              >
                {t(`period.${preset}`)}
              </button>
            </li>
          ))}
        </ul>
        <form
          className="flex flex-col gap-3 sm:w-44 sm:border-l sm:pl-3"
          onSubmit={(event) => {
            event.preventDefault();
            if (!backwards && from && to) choose({ from, to });
          }}
        >
          <Field label={t("period.from")}>
            <Input
              type="date"
              value={from}
              min={firstDate}
              max={today}
              onChange={(event) => setFrom(event.target.value)}
            />
          </Field>
          <Field label={t("period.to")} error={backwards ? t("period.backwards") : undefined}>
            <Input type="date" value={to} onChange={(event) => setTo(event.target.value)} />
          </Field>
          <Button type="submit" look="primary" disabled={backwards || !from || !to}>
            {t("period.show")}
          </Button>
          <p className="text-xs text-soft">{t("period.zone", { zone })}</p>
        </form>
      </div>
    </Popover>
  );
}
