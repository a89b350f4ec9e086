import { useTranslation } from "react-i18next";
import { Problem } from "@/ui/problem";
import { clock } from "./wait";

/** Why signing in was refused, and how long there is to wait. */
export function Refusal({ error, wait }: { error: unknown; wait: number }) {
  const { t } = useTranslation("sign-in");
  if (!error) return null;
  return (
    <div>
      <Problem error={error} />
      {wait > 0 && (
        // Outside the alert: that would be read out again each second.
        <p role="timer" className="mt-1.5 text-sm text-soft">
          {t("wait", { time: clock(wait) })}
        </p>
      )}
    </div>
  );
}
