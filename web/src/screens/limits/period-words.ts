import { useTranslation } from "react-i18next";

/** Tells the period of a budget in words: per day, per 6 hours. */
export function usePeriodWords(): (period: string) => string {
  const { t } = useTranslation("limits");
  return (period) =>
    period.startsWith("hours:")
      ? t("per.hours", { hours: period.slice("hours:".length) })
      : t(`per.${period as "day" | "week" | "month"}`);
}
