import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Card } from "@/ui/page";
import { anyChannelQuery, anyKeyQuery } from "./queries";

/** What there is to do before the first request; each step until it is done. */
export function FirstSteps({ admin }: { admin: boolean }) {
  const { t } = useTranslation("overview");
  const channel = useQuery({ ...anyChannelQuery, enabled: admin });
  const key = useQuery(anyKeyQuery);
  const steps = [
    ...(admin ? [{ id: "channel", to: "/channels", done: channel.data } as const] : []),
    { id: "key", to: "/keys", done: key.data } as const,
    { id: "request", to: "/playground", done: false } as const,
  ];
  const next = steps.findIndex((step) => step.done === false);
  if (steps.some((step) => step.done === undefined)) return null; // soon known, and no reason to move things about
  return (
    <Card title={t("first.title")} flush>
      <ol className="divide-y">
        {steps.map((step, i) => (
          <li key={step.id} className="flex items-start gap-3 px-4 py-3 max-sm:flex-wrap">
            <span
              aria-hidden
              className={cx(
                "mt-0.5 flex size-5 shrink-0 items-center justify-center rounded-full border text-xs",
                step.done
                  ? "border-transparent bg-good-soft text-good"
                  : i === next
                    ? "border-accent text-accent"
                    : "text-soft",
              )}
            >
              {step.done ? <Check className="size-3.5" /> : i + 1}
            </span>
            <div className="min-w-0 flex-1">
              <p className={cx("text-sm font-medium", step.done && "text-soft")}>
                {t(`first.${step.id}.title`)}
                {step.done && <span className="sr-only"> ({t("first.done")})</span>}
              </p>
              <p className="text-sm text-soft">{t(`first.${step.id}.help`)}</p>
            </div>
            {!step.done && (
              <Button asChild look={i === next ? "primary" : "secondary"} className="max-sm:ml-8">
                <Link to={step.to}>{t(`first.${step.id}.action`)}</Link>
              </Button>
            )}
          </li>
        ))}
      </ol>
    </Card>
  );
}
