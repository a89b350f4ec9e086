import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, errorOf } from "@/api/error";
import { Field } from "@/ui/field";
import { PasswordInput } from "@/ui/password-input";

export interface PasswordProof {
  password?: string;
}

/**
 * A change of how the account is signed in to. A while after signing in the
 * server wants the password for it; then `field` asks for it, and the same call
 * is made again with it.
 */
export function useProven<Answer>(
  run: (proof: PasswordProof) => Promise<Answer>,
  onSuccess: (answer: Answer) => void,
  hasPassword: boolean,
): { run: () => void; busy: boolean; asks: boolean; error: unknown; field: ReactNode; reset: () => void } {
  const { t } = useTranslation("settings");
  const [password, setPassword] = useState("");
  const [asks, setAsks] = useState(false);
  const call = useMutation({
    mutationFn: () => run(password === "" ? {} : { password }),
    onSuccess: (answer) => {
      setPassword("");
      setAsks(false);
      onSuccess(answer);
    },
    onError: (error) => {
      if (hasPassword && error instanceof ApiError && error.code === "confirmation_required") setAsks(true);
    },
  });
  // That the password is asked for is no refusal.
  const asked = asks && call.error instanceof ApiError && call.error.code === "confirmation_required";
  const error = asked ? null : call.error;
  return {
    run: () => {
      if (!call.isPending) call.mutate();
    },
    busy: call.isPending,
    asks,
    error,
    field: asks && (
      <Field label={t("proof.password")} help={t("proof.help")} error={errorOf(error, "password")} required>
        <PasswordInput
          name="proof"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
          autoFocus
          required
        />
      </Field>
    ),
    reset: () => {
      setPassword("");
      setAsks(false);
      call.reset();
    },
  };
}
