import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { Badge, type Tone } from "@/ui/badge";
import { Tooltip } from "@/ui/tooltip";
import type { State, Summary } from "./health";
import { isWell } from "./health";
import type { Condition } from "./search";

const tones: Record<Condition, Tone> = {
  well: "good",
  impaired: "warn",
  broken: "bad",
  disabled: "plain",
  unused: "plain",
};

/** How a channel is doing, with the reason at hand. */
export function ConditionBadge({ summary }: { summary: Summary }) {
  const { t } = useTranslation("channels");
  const { ago } = useFormat();
  const badge = <Badge tone={tones[summary.condition]}>{t(`condition.${summary.condition}`)}</Badge>;
  const worst = summary.condition === "disabled" ? undefined : summary.worst;
  if (!worst) return badge;
  return (
    <Tooltip
      text={
        <>
          {t(`state.${worst.state}`)}
          {worst.model && ` · ${worst.model}`}
          {worst.key && ` · …${worst.key}`}
          {worst.reason && <span className="block">{worst.reason}</span>}
          {worst.until > Date.now() / 1000 && (
            <span className="block">{t("health.again", { when: ago(worst.until) })}</span>
          )}
        </>
      }
    >
      <button type="button" className="flex rounded">
        {badge}
      </button>
    </Tooltip>
  );
}

export function StateBadge({ state }: { state: State }) {
  const { t } = useTranslation("channels");
  const tone: Tone = isWell(state) ? "good" : state === "open" || state === "out" ? "bad" : "warn";
  return <Badge tone={tone}>{t(`state.${state}`)}</Badge>;
}
