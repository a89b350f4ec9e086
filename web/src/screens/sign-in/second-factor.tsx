import { useMutation } from "@tanstack/react-query";
import { Fingerprint } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { askPasskey, passkeysWork } from "@/app/passkey";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { type Method, methodsFor } from "./methods";
import { Refusal } from "./refusal";

/** What is sent with name and password the second time. */
export interface Proof {
  totp?: string;
  passkey?: Schemas["AssertionBody"];
}

interface Props {
  choice: Schemas["SecondFactorChoice"];
  username: string;
  onProof: (proof: Proof) => void;
  onBack: () => void;
  busy: boolean;
  error: unknown;
  /** Seconds until another try is taken. */
  wait: number;
}

/** The second step of signing in: a passkey, a code of the app, or a recovery code. */
export function SecondFactor({ choice, username, onProof, onBack, busy, error, wait }: Props) {
  const { t } = useTranslation("sign-in");
  const methods = methodsFor(choice, passkeysWork());
  const [method, setMethod] = useState<Method>(methods[0] ?? "recovery_code");
  const [code, setCode] = useState("");
  const first = useRef<HTMLInputElement & HTMLButtonElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each method begins with the focus
  useEffect(() => first.current?.focus(), [method]);
  const passkey = useMutation({
    mutationFn: async () => choice.passkey && askPasskey(choice.passkey),
    onSuccess: (answer) => answer && onProof({ passkey: answer }),
  });
  const others = methods.filter((one) => one !== method);
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (busy || wait > 0) return;
        if (method === "passkey") passkey.mutate();
        else onProof({ totp: code.replaceAll(/\s/g, "") });
      }}
    >
      <p className="text-sm text-soft">
        {t("second.as", { name: username })}{" "}
        <button
          type="button"
          onClick={onBack}
          className="rounded text-accent underline underline-offset-2 hover:no-underline"
        >
          {t("second.notYou")}
        </button>
      </p>
      {method === "passkey" ? (
        <p className="text-sm">{t("second.passkeyHelp")}</p>
      ) : (
        <Field
          key={method}
          label={t(`second.label.${method}`)}
          help={t(`second.help.${method}`)}
          error={errorOf(error, "totp")}
          required
        >
          <Input
            ref={first}
            name={method === "totp" ? "totp" : "recovery-code"}
            value={code}
            onChange={(event) => setCode(event.target.value)}
            autoComplete={method === "totp" ? "one-time-code" : "off"}
            inputMode={method === "totp" ? "numeric" : "text"}
            autoCapitalize="none"
            spellCheck={false}
            required
            className="font-mono tracking-widest"
          />
        </Field>
      )}
      <Refusal error={passkey.error ?? error} wait={wait} />
      {passkey.data === undefined && passkey.isSuccess && (
        <p role="status" className="text-sm text-soft">
          {t("passkeyCalledOff")}
        </p>
      )}
      <Button
        ref={method === "passkey" ? first : undefined}
        type="submit"
        look="primary"
        busy={busy || passkey.isPending}
        disabled={wait > 0}
        className="h-9!"
        icon={method === "passkey" && <Fingerprint aria-hidden className="size-4" />}
      >
        {method === "passkey" ? t("passkey") : t("submit")}
      </Button>
      {others.length > 0 && (
        <div className="flex flex-col items-start gap-1.5 text-sm">
          {others.map((one) => (
            <button
              key={one}
              type="button"
              onClick={() => {
                setCode("");
                setMethod(one);
              }}
              className="rounded text-accent underline underline-offset-2 hover:no-underline max-sm:min-h-8"
            >
              {t(`second.instead.${one}`)}
            </button>
          ))}
        </div>
      )}
    </form>
  );
}
