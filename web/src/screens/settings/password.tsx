import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { errorOf } from "@/api/error";
import { selfQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { PasswordInput } from "@/ui/password-input";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { signInKey } from "./queries";
import { Section } from "./section";

/** Another password. */
export function ChangePassword({ has }: { has: boolean }) {
  const { t } = useTranslation("settings");
  const queries = useQueryClient();
  const self = queries.getQueryData(selfQuery.queryKey);
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const change = useMutation({
    mutationFn: () => data(api.PATCH("/api/user/self", { body: { password, old_password: old } })),
    onSuccess: (user) => {
      queries.setQueryData(selfQuery.queryKey, user);
      setOld("");
      setPassword("");
      toast(t("password.done"));
      void queries.invalidateQueries({ queryKey: signInKey });
    },
  });
  return (
    <Section title={t("password.title")} help={t("password.help")}>
      {has ? (
        <form
          className="flex max-w-md flex-col gap-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (!change.isPending) change.mutate();
          }}
        >
          <input type="text" autoComplete="username" value={self?.username ?? ""} readOnly hidden />
          <Field label={t("password.old")} error={errorOf(change.error, "old_password")} required>
            <PasswordInput
              name="old-password"
              value={old}
              onChange={(event) => setOld(event.target.value)}
              autoComplete="current-password"
              required
            />
          </Field>
          <Field label={t("password.new")} help={t("password.rule")} error={errorOf(change.error, "password")} required>
            <PasswordInput
              name="new-password"
              value={password}
              onChange={(event) => setPassword(event.target.value)}
              autoComplete="new-password"
              minLength={8}
              required
            />
          </Field>
          <Problem error={change.error} />
          <Button
            type="submit"
            look="primary"
            className="self-start"
            disabled={old === "" || password === ""}
            busy={change.isPending}
          >
            {t("password.submit")}
          </Button>
        </form>
      ) : (
        <p className="text-sm text-soft">{t("password.none")}</p>
      )}
    </Section>
  );
}
