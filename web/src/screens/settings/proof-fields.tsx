import { useTranslation } from "react-i18next";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { PasswordInput } from "@/ui/password-input";

interface Props {
  value: string;
  onChange: (value: string) => void;
  error: string | undefined;
  help?: string;
}

/** The viewer's password, as proof of who they are. */
export function ProofPassword({ value, onChange, error, help }: Props) {
  const { t } = useTranslation("settings");
  return (
    <Field label={t("proof.password")} help={help} error={error} required>
      <PasswordInput
        name="proof"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        autoComplete="current-password"
        autoFocus
        required
      />
    </Field>
  );
}

/** A code of the authenticator app or a recovery code, likewise. */
export function ProofCode({
  value,
  onChange,
  error,
  help,
  optional,
  autoFocus,
}: Props & { optional?: boolean; autoFocus?: boolean }) {
  const { t } = useTranslation("settings");
  return (
    <Field label={t("totp.code")} help={help} error={error} required={!optional}>
      <Input
        name="totp"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        autoComplete="one-time-code"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus={autoFocus}
        required={!optional}
        className="font-mono tracking-widest"
      />
    </Field>
  );
}

/** A code without the gaps that people write into it. */
export function bareCode(code: string): string {
  return code.replaceAll(/\s/g, "");
}
