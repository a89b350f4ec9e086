import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { browserZone } from "@/format/zone";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { Problem } from "@/ui/problem";

interface Props {
  username?: string;
  onSignedIn: (user: Schemas["User"]) => void;
}

/** User name and password, and the second factor when the server asks for one. */
export function SignInForm({ username: known = "", onSignedIn }: Props) {
  const { t } = useTranslation("sign-in");
  const [username, setUsername] = useState(known);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const codeInput = useRef<HTMLInputElement>(null);
  const signIn = useMutation({
    mutationFn: async () => {
      const user = await data(
        api.POST("/api/user/login", {
          body: { username: username.trim(), password, ...(code ? { totp: code.replaceAll(" ", "") } : {}) },
        }),
      );
      return user.time_zone === "" ? adoptZone(user) : user;
    },
    onSuccess: onSignedIn,
  });
  const refused = signIn.error instanceof ApiError ? signIn.error : undefined;
  const [factor, setFactor] = useState(false);
  useEffect(() => {
    if (refused?.code === "totp_required") setFactor(true);
  }, [refused]);
  useEffect(() => {
    if (factor) codeInput.current?.focus();
  }, [factor]);

  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!signIn.isPending) signIn.mutate();
      }}
    >
      <Field label={t("username")} error={errorOf(refused, "username")} required>
        <Input
          name="username"
          value={username}
          onChange={(event) => setUsername(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus={known === ""}
          required
        />
      </Field>
      <Field label={t("password")} error={errorOf(refused, "password")} required>
        <Input
          name="password"
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
          autoFocus={known !== ""}
          required
        />
      </Field>
      {factor && (
        <Field label={t("code")} help={t("codeHelp")} error={errorOf(refused, "totp")} required>
          <Input
            ref={codeInput}
            name="totp"
            value={code}
            onChange={(event) => setCode(event.target.value)}
            autoComplete="one-time-code"
            inputMode="numeric"
            spellCheck={false}
            required
            className="font-mono tracking-widest"
          />
        </Field>
      )}
      {refused && !(refused.code === "totp_required" && code === "") && <Refusal error={refused} />}
      {!refused && <Problem error={signIn.error} />}
      <Button type="submit" look="primary" busy={signIn.isPending} className="h-9!">
        {t("submit")}
      </Button>
    </form>
  );
}

function Refusal({ error }: { error: ApiError }) {
  const { t } = useTranslation("sign-in");
  return (
    <div>
      <Problem error={error} />
      {error.retryAfter !== undefined && (
        <p className="mt-1.5 text-xs text-soft">{t("lockedMinutes", { count: Math.ceil(error.retryAfter / 60) })}</p>
      )}
    </div>
  );
}

/**
 * Gives an account without a time zone the browser's: the server sums days up
 * in the account's zone, and days on the page shall be the same. Signing in does
 * not fail for it.
 */
async function adoptZone(user: Schemas["User"]): Promise<Schemas["User"]> {
  try {
    return await data(api.PATCH("/api/user/self", { body: { time_zone: browserZone() } }));
  } catch {
    return user;
  }
}
