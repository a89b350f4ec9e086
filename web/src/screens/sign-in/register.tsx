import { useMutation, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { errorOf } from "@/api/error";
import { statusQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { PasswordInput } from "@/ui/password-input";
import { adoptZone } from "./adopt-zone";
import { useArrival } from "./arrival";
import { Frame } from "./frame";
import { Refusal } from "./refusal";
import { useWait } from "./wait";

const route = getRouteApi("/register");

/** An account for oneself, where the server allows it. */
export function RegisterScreen() {
  const { t } = useTranslation("sign-in");
  const { from } = route.useSearch();
  const { data: status } = useSuspenseQuery(statusQuery);
  const arrive = useArrival(from);
  const [username, setUsername] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const register = useMutation({
    mutationFn: async () =>
      adoptZone(
        await data(
          api.POST("/api/user/register", {
            body: { username: username.trim(), password, ...(email.trim() && { email: email.trim() }) },
          }),
        ),
      ),
    onSuccess: arrive,
  });
  const wait = useWait(register.error);
  const toSignIn = (
    <Link
      to="/sign-in"
      search={from ? { from } : {}}
      className="rounded text-accent underline underline-offset-2 hover:no-underline"
    >
      {t("register.signIn")}
    </Link>
  );
  if (!status.register_enabled) {
    return (
      <Frame title={t("register.title")}>
        <p className="mb-3 text-sm text-soft">{t("register.closed")}</p>
        <p className="text-sm">{toSignIn}</p>
      </Frame>
    );
  }
  return (
    <Frame title={t("register.title")}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (!register.isPending && wait === 0) register.mutate();
        }}
      >
        <Field label={t("username")} error={errorOf(register.error, "username")} required>
          <Input
            name="username"
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            required
          />
        </Field>
        <Field label={t("register.email")} help={t("register.optional")} error={errorOf(register.error, "email")}>
          <Input
            name="email"
            type="email"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
            autoComplete="email"
          />
        </Field>
        <Field label={t("password")} help={t("passwordRule")} error={errorOf(register.error, "password")} required>
          <PasswordInput
            name="password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            autoComplete="new-password"
            minLength={8}
            required
          />
        </Field>
        <Refusal error={register.error} wait={wait} />
        <Button type="submit" look="primary" busy={register.isPending} disabled={wait > 0} className="h-9!">
          {t("register.submit")}
        </Button>
      </form>
      <p className="mt-6 text-sm text-soft">
        {t("register.have")} {toSignIn}
      </p>
    </Frame>
  );
}
