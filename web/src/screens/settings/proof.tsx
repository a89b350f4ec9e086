import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, errorOf } from "@/api/error";
import { bareCode, ProofCode, ProofPassword } from "./proof-fields";

export interface PasswordProof {
  password?: string;
  totp?: string;
}

/**
 * A change of how the account is signed in to. A while after signing in the
 * server wants the password for it, and for some a code as well; then `field` asks
 * for them, and the same call is made again with them.
 */
export function useProven<Answer>(
  run: (proof: PasswordProof) => Promise<Answer>,
  onSuccess: (answer: Answer) => void,
  hasPassword: boolean,
): { run: () => void; busy: boolean; asks: boolean; error: unknown; field: ReactNode; reset: () => void } {
  const { t } = useTranslation("settings");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asks, setAsks] = useState(false);
  const [asksCode, setAsksCode] = useState(false);
  const forget = () => {
    setPassword("");
    setCode("");
    setAsks(false);
    setAsksCode(false);
  };
  const call = useMutation({
    mutationFn: () => {
      const totp = bareCode(code);
      return run({ ...(password !== "" && { password }), ...(totp !== "" && { totp }) });
    },
    onSuccess: (answer) => {
      forget();
      onSuccess(answer);
    },
    onError: (error) => {
      if (hasPassword && refusedWith(error, "confirmation_required")) setAsks(true);
      if (refusedWith(error, "totp_required")) setAsksCode(true);
    },
  });
  // That something is asked for is no refusal.
  const asked =
    (asks && refusedWith(call.error, "confirmation_required")) ||
    (asksCode && refusedWith(call.error, "totp_required"));
  const error = asked ? null : call.error;
  return {
    run: () => {
      if (!call.isPending) call.mutate();
    },
    busy: call.isPending,
    asks,
    error,
    field: (asks || asksCode) && (
      <>
        {asks && (
          <ProofPassword
            value={password}
            onChange={setPassword}
            help={t("proof.help")}
            error={errorOf(error, "password")}
          />
        )}
        {asksCode && (
          <ProofCode
            value={code}
            onChange={setCode}
            help={t("proof.codeHelp")}
            error={errorOf(error, "totp")}
            autoFocus
          />
        )}
      </>
    ),
    reset: () => {
      forget();
      call.reset();
    },
  };
}

function refusedWith(error: unknown, code: string): boolean {
  return error instanceof ApiError && error.code === code;
}
