import { Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { parseUsd, usdField } from "@/format/money";
import { Button, IconButton } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

/** A renewing budget as it is typed. */
export interface BudgetLine {
  usd: string;
  period: string;
  /** What has no field here and stays: the zone of its days, and when it begins anew. */
  rest?: { time_zone: string; anchor: number | undefined };
}

export function budgetsOf(budgets: readonly Schemas["Budget"][] | null | undefined): BudgetLine[] {
  return (budgets ?? []).map(({ amount, period, time_zone, anchor }) => ({
    usd: usdField(amount),
    period,
    rest: { time_zone, anchor: anchor || undefined },
  }));
}

/** The budgets for the API; undefined where an amount is none, null for no budget. */
export function budgetsBody(lines: readonly BudgetLine[]) {
  if (lines.length === 0) return null;
  const budgets = lines.map(({ usd, period, rest }) => ({ amount: parseUsd(usd) ?? 0, period, ...rest }));
  return budgets.every(({ amount }) => amount > 0) ? budgets : undefined;
}

const periods = ["day", "week", "month"] as const;

/** What may be spent per day, week or month, beside the balance. */
export function BudgetFields({
  value,
  onChange,
  error,
}: {
  value: readonly BudgetLine[];
  onChange: (value: BudgetLine[]) => void;
  error: string | undefined;
}) {
  const { t } = useTranslation("limits");
  const { t: common } = useTranslation();
  const change = (at: number, to: Partial<BudgetLine>) =>
    onChange(value.map((one, i) => (i === at ? { ...one, ...to } : one)));
  const wrong = budgetsBody(value) === undefined ? t("budgetWrong") : undefined;
  return (
    <Field label={t("budgets")} help={t("budgetsHelp")} error={error ?? wrong} group>
      {value.map((line, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
        <div key={i} className="flex items-center gap-1.5">
          <div className="min-w-0 flex-1">
            <Input
              aria-label={t("budgetAmount")}
              inputMode="decimal"
              lead="$"
              value={line.usd}
              onChange={(event) => change(i, { usd: event.target.value })}
            />
          </div>
          <Select
            aria-label={t("budgetPeriod")}
            className="w-36"
            value={line.period}
            onChange={(event) => change(i, { period: event.target.value })}
            options={[
              ...periods.map((period) => ({ value: period as string, label: t(`per.${period}`) })),
              ...(line.period.startsWith("hours:")
                ? [{ value: line.period, label: t("per.hours", { hours: line.period.slice("hours:".length) }) }]
                : []),
            ]}
          />
          <IconButton label={common("action.remove")} onClick={() => onChange(value.filter((_, at) => at !== i))}>
            <X aria-hidden className="size-3.5" />
          </IconButton>
        </div>
      ))}
      <Button
        size="small"
        className="self-start"
        icon={<Plus aria-hidden className="size-3.5" />}
        onClick={() => onChange([...value, { usd: "10", period: "month" }])}
      >
        {t("addBudget")}
      </Button>
    </Field>
  );
}
