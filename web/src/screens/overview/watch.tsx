import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CalendarClock, CircleDollarSign, type LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { Card } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Meter } from "@/ui/stat";
import { Skeleton } from "@/ui/states";
import { watchQuery } from "./queries";

type Key = Schemas["Key"];

/** The viewer's budgets, and what is about to expire or to run out. */
export function Watch() {
  const { t } = useTranslation("overview");
  const watch = useQuery(watchQuery);
  const { data: self } = useSuspenseQuery(selfQuery);
  if (watch.error && !watch.data) {
    return (
      <Card title={t("watch.title")}>
        <Problem error={watch.error} retry={() => void watch.refetch()} />
      </Card>
    );
  }
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Card title={t("budgets.title")}>
        {watch.data ? <Budgets keys={watch.data.budgets} self={self} /> : <Skeleton className="h-16 w-full" />}
      </Card>
      <Card title={t("watch.title")} flush>
        {watch.data ? (
          <Soon expiring={watch.data.expiring} runningOut={watch.data.running_out} self={self} />
        ) : (
          <div className="p-4">
            <Skeleton className="h-16 w-full" />
          </div>
        )}
      </Card>
    </div>
  );
}

function Budgets({ keys, self }: { keys: readonly Key[]; self: Schemas["User"] | null }) {
  const { t } = useTranslation("overview");
  const own = self?.limits.budgets ?? [];
  const none = own.length === 0 && !keys.some((key) => (key.limits.budgets ?? []).length > 0);
  if (none && (self?.unlimited_quota ?? true)) {
    return <p className="py-4 text-center text-sm text-soft">{t("budgets.none")}</p>;
  }
  return (
    <ul className="flex flex-col gap-4">
      {self && !self.unlimited_quota && <Balance self={self} />}
      {own.map((budget) => (
        <Bar key={`own/${budget.period}/${budget.amount}`} name={t("budgets.account")} budget={budget} />
      ))}
      {keys.flatMap((key) =>
        (key.limits.budgets ?? []).map((budget) => (
          <Bar
            key={`${key.id}/${budget.period}/${budget.amount}`}
            name={<KeyLink of={key} />}
            label={key.name}
            budget={budget}
          />
        )),
      )}
    </ul>
  );
}

function Balance({ self }: { self: Schemas["User"] }) {
  const { t } = useTranslation("overview");
  const format = useFormat();
  return (
    <li className="text-sm">
      <div className="mb-1.5 flex items-baseline justify-between gap-3">
        <span className="font-medium">{t("budgets.balance")}</span>
        <span>{t("budgets.left", { amount: format.units(self.quota) })}</span>
      </div>
      <Meter label={t("budgets.balance")} value={self.used_quota} max={self.used_quota + self.quota} />
    </li>
  );
}

function Bar({ name, label, budget }: { name: ReactNode; label?: string; budget: Schemas["Budget"] }) {
  const { t } = useTranslation("overview");
  const format = useFormat();
  const amounts = { used: format.units(budget.used), amount: format.units(budget.amount) };
  return (
    <li className="text-sm">
      <div className="mb-1.5 flex flex-wrap items-baseline justify-between gap-x-3">
        <span className="min-w-0 truncate font-medium">{name}</span>
        <span>
          {budget.period.startsWith("hours:")
            ? t("budgets.of.hours", { ...amounts, hours: budget.period.slice("hours:".length) })
            : t(`budgets.of.${budget.period as "day" | "week" | "month"}`, amounts)}
        </span>
      </div>
      <Meter label={label ?? t("budgets.account")} value={budget.used} max={budget.amount} />
      <p className="mt-1 text-xs text-soft" title={format.exact(budget.renews_at)}>
        {t("budgets.renews", { when: format.ago(budget.renews_at) })}
      </p>
    </li>
  );
}

function Soon({
  expiring,
  runningOut,
  self,
}: {
  expiring: readonly Key[];
  runningOut: readonly Key[];
  self: Schemas["User"] | null;
}) {
  const { t } = useTranslation("overview");
  const format = useFormat();
  const low = self && !self.unlimited_quota && self.quota <= (self.quota + self.used_quota) / 10 ? self : undefined;
  if (!low && expiring.length + runningOut.length === 0) {
    return <p className="px-4 py-8 text-center text-sm text-soft">{t("watch.none")}</p>;
  }
  return (
    <ul className="text-sm">
      {low && (
        <Line icon={CircleDollarSign} bad={low.quota <= 0} name={t("budgets.balance")}>
          {t("budgets.left", { amount: format.units(low.quota) })}
        </Line>
      )}
      {runningOut.map((key) => (
        <Line key={key.id} icon={CircleDollarSign} bad={key.remain_quota < 1} name={<KeyLink of={key} />}>
          {key.remain_quota < 1 ? t("watch.exhausted") : t("budgets.left", { amount: format.units(key.remain_quota) })}
        </Line>
      ))}
      {expiring.map((key) => (
        <Line key={key.id} icon={CalendarClock} name={<KeyLink of={key} />}>
          <span title={format.exact(key.expired_time)}>
            {t("watch.expires", { when: format.ago(key.expired_time) })}
          </span>
        </Line>
      ))}
    </ul>
  );
}

function Line({
  icon: Icon,
  name,
  bad,
  children,
}: {
  icon: LucideIcon;
  name: ReactNode;
  bad?: boolean;
  children: ReactNode;
}) {
  return (
    <li className="flex items-center gap-2.5 border-b px-4 py-2.5 last:border-0">
      <Icon aria-hidden className={`size-4 shrink-0 ${bad ? "text-bad" : "text-warn"}`} />
      <span className="min-w-0 flex-1 truncate">{name}</span>
      <span className={`shrink-0 ${bad ? "text-bad" : "text-soft"}`}>{children}</span>
    </li>
  );
}

function KeyLink({ of: key }: { of: Key }) {
  return (
    <Link to="/keys/$id" params={{ id: String(key.id) }} className="rounded hover:underline">
      {key.name}
    </Link>
  );
}
