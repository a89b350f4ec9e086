import { useMutation, useQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { selfQuery, statusQuery } from "@/api/queries";
import { visitOf } from "@/screens/sign-in/providers";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Form } from "@/ui/form";
import { PasswordInput } from "@/ui/password-input";
import { Problem } from "@/ui/problem";
import { Skeleton } from "@/ui/states";
import { toast } from "@/ui/toast";
import { identitiesQuery, sessionsQuery, signInKey } from "./queries";
import { Section } from "./section";

/** Another password, or the first one of an account that an identity provider has made. */
export function ChangePassword({ has }: { has: boolean }) {
  const { t } = useTranslation("settings");
  return (
    <Section title={t("password.title")} help={t(has ? "password.help" : "password.none")}>
      {has ? <PasswordForm has /> : <FirstPassword />}
    </Section>
  );
}

/** For how many seconds after signing in the server takes a first password. */
const lasts = 600;

/** Who has nothing to confirm it with has to have signed in just now. */
function FirstPassword() {
  const { t } = useTranslation("settings");
  const { data: sessions, error, refetch } = useQuery(sessionsQuery);
  const [late, setLate] = useState(false);
  if (error && !sessions) return <Problem error={error} retry={() => void refetch()} />;
  if (!sessions) return <Skeleton className="h-24 w-full" />;
  const since = sessions.items.find((session) => session.current)?.created_time ?? 0;
  if (late || Date.now() / 1000 - since >= lasts) return <SignInAgain />;
  return (
    <div className="flex flex-col gap-4">
      <p className="text-sm text-soft">{t("password.first")}</p>
      <PasswordForm has={false} onLate={() => setLate(true)} />
    </div>
  );
}

function SignInAgain() {
  const { t } = useTranslation("settings");
  const { data: status } = useSuspenseQuery(statusQuery);
  const { data: identities } = useQuery(identitiesQuery);
  const linked = status.login_providers.filter((one) =>
    identities?.items.some((identity) => identity.provider === one.name),
  );
  return (
    <div className="flex flex-col items-start gap-3">
      <p className="text-sm text-soft">{t(linked.length > 0 ? "password.again" : "password.againElsewhere")}</p>
      {linked.map((provider) => (
        <Button key={provider.name} asChild>
          <a href={visitOf(provider, "/settings/security")}>{t("password.signIn", { name: provider.label })}</a>
        </Button>
      ))}
    </div>
  );
}

function PasswordForm({ has, onLate }: { has: boolean; onLate?: () => void }) {
  const { t } = useTranslation("settings");
  const queries = useQueryClient();
  const self = queries.getQueryData(selfQuery.queryKey);
  const [old, setOld] = useState("");
  const [password, setPassword] = useState("");
  const change = useMutation({
    mutationFn: () => data(api.PATCH("/api/user/self", { body: { password, ...(has && { old_password: old }) } })),
    onSuccess: (user) => {
      queries.setQueryData(selfQuery.queryKey, user);
      setOld("");
      setPassword("");
      toast(t(has ? "password.done" : "password.firstDone"));
      void queries.invalidateQueries({ queryKey: signInKey });
    },
    onError: (error) => {
      if (error instanceof ApiError && error.code === "confirmation_required") onLate?.();
    },
  });
  return (
    <Form
      error={change.error}
      className="flex max-w-md flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!change.isPending) change.mutate();
      }}
    >
      <input type="text" autoComplete="username" value={self?.username ?? ""} readOnly hidden />
      {has && (
        <Field label={t("password.old")} error={errorOf(change.error, "old_password")} required>
          <PasswordInput
            name="old-password"
            value={old}
            onChange={(event) => setOld(event.target.value)}
            autoComplete="current-password"
            required
          />
        </Field>
      )}
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
        disabled={(has && old === "") || password === ""}
        busy={change.isPending}
      >
        {t(has ? "password.submit" : "password.set")}
      </Button>
    </Form>
  );
}
