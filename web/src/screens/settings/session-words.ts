import { useSuspenseQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { statusQuery } from "@/api/queries";
import { deviceOf } from "./user-agent";

const methods = ["password", "password+totp", "password+recovery_code", "password+passkey", "passkey"] as const;

/** How a session is told to people: where it runs, and how it was begun. */
export function useSessionWords() {
  const { t } = useTranslation("settings");
  const { data: status } = useSuspenseQuery(statusQuery);
  return useCallback(
    (session: Pick<Schemas["Session"], "user_agent" | "method">) => {
      const { browser, system, mobile } = deviceOf(session.user_agent);
      const method = methods.find((one) => one === session.method);
      // oidc:NAME is an identity provider.
      const provider = session.method.replace(/^oidc:/, "");
      return {
        device: [browser, system].filter(Boolean).join(" · ") || t("sessions.unknown"),
        mobile,
        method: method
          ? t(`sessions.method.${method}`)
          : (status.login_providers.find((one) => one.name === provider)?.label ?? provider),
      };
    },
    [t, status],
  );
}
