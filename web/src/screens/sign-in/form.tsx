import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { PasswordInput } from "@/ui/password-input";
import { adoptZone } from "./adopt-zone";
import { Refusal } from "./refusal";
import { type Proof, SecondFactor } from "./second-factor";
import { useWait } from "./wait";

interface Props {
  username?: string;
  /** Called with the password, for who has to choose another one now. */
  onSignedIn: (user: Schemas["User"], password: string) => void;
  /** Told when the second factor is asked for, and when it no longer is. */
  onStep?: (second: boolean) => void;
}

/** User name and password, and then the second factor when the server asks for one. */
export function SignInForm({ username: known = "", onSignedIn, onStep }: Props) {
  const { t } = useTranslation("sign-in");
  const [username, setUsername] = useState(known);
  const [password, setPassword] = useState("");
  const [choice, setChoice] = useState<Schemas["SecondFactorChoice"]>();
  const signIn = useMutation({
    mutationFn: async (proof: Proof) =>
      adoptZone(await data(api.POST("/api/user/login", { body: { username: username.trim(), password, ...proof } }))),
    onSuccess: (user) => onSignedIn(user, password),
    onError: (error) => {
      if (!(error instanceof ApiError)) return;
      if (error.choice) {
        setChoice(error.choice);
        onStep?.(true);
      } else if (error.code === "invalid_credentials") {
        back(); // the password was changed meanwhile
      }
    },
  });
  const back = () => {
    setChoice(undefined);
    onStep?.(false);
  };
  // That a factor is asked for is no refusal.
  const refused = signIn.error instanceof ApiError && signIn.error.choice ? null : signIn.error;
  const wait = useWait(refused);

  if (choice) {
    return (
      <SecondFactor
        choice={choice}
        username={username.trim()}
        onProof={(proof) => signIn.mutate(proof)}
        onBack={() => {
          signIn.reset();
          setPassword("");
          back();
        }}
        busy={signIn.isPending}
        error={refused}
        wait={wait}
      />
    );
  }
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!signIn.isPending && wait === 0) signIn.mutate({});
      }}
    >
      <Field label={t("username")} error={errorOf(refused, "username")} required>
        <Input
          name="username"
          value={username}
          onChange={(event) => {
            setUsername(event.target.value);
            signIn.reset(); // what kept another name out says nothing of this one
          }}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus={known === ""}
          required
        />
      </Field>
      <Field label={t("password")} error={errorOf(refused, "password")} required>
        <PasswordInput
          name="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
          autoFocus={known !== ""}
          required
        />
      </Field>
      <Refusal error={refused} wait={wait} />
      <Button type="submit" look="primary" busy={signIn.isPending} disabled={wait > 0} className="h-9!">
        {t("submit")}
      </Button>
    </form>
  );
}
