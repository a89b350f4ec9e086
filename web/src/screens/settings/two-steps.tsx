import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { useProven } from "./proof";
import { bareCode, ProofCode, ProofPassword } from "./proof-fields";
import { qr } from "./qr";
import { secondFactorQuery, signInKey } from "./queries";
import { RecoveryCodes } from "./recovery-codes";
import { Section } from "./section";

/** The authenticator app and the recovery codes. */
export function TwoSteps({ factors }: { factors: Schemas["SecondFactor"] }) {
  const { t } = useTranslation("settings");
  const format = useFormat();
  const queries = useQueryClient();
  const [open, setOpen] = useState<"enrol" | "disable" | "renew">();
  const [codes, setCodes] = useState<readonly string[]>();
  const changed = () => void queries.invalidateQueries({ queryKey: signInKey });
  const on = factors.totp || factors.passkeys > 0;
  return (
    <Section title={t("totp.title")} help={t("totp.help")}>
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0 text-sm">
          <p className="flex items-center gap-2 font-medium">
            {t("totp.app")}{" "}
            <Badge tone={factors.totp ? "good" : "plain"}>{factors.totp ? t("totp.on") : t("totp.off")}</Badge>
          </p>
          <p className="mt-0.5 text-soft">
            {factors.totp ? t("totp.since", { date: format.date(factors.totp_created_time) }) : t("totp.offHelp")}
          </p>
        </div>
        {factors.totp ? (
          <Button onClick={() => setOpen("disable")}>{t("totp.disable")}</Button>
        ) : (
          <Button look="primary" onClick={() => setOpen("enrol")}>
            {t("totp.enrol")}
          </Button>
        )}
      </div>
      {on && (
        <div className="mt-4 flex flex-wrap items-center justify-between gap-3 border-t pt-4">
          <div className="min-w-0 text-sm">
            <p className="flex items-center gap-2 font-medium">
              {t("codes.title")}{" "}
              <Badge tone={factors.recovery_codes > 2 ? "plain" : "warn"}>
                {t("codes.left", { count: factors.recovery_codes })}
              </Badge>
            </p>
            <p className="mt-0.5 text-soft">{t("codes.purpose")}</p>
          </div>
          <Button onClick={() => setOpen("renew")}>{t("codes.renew")}</Button>
        </div>
      )}
      {open === "enrol" && (
        <Enrol
          hasPassword={factors.has_password}
          onClose={() => setOpen(undefined)}
          onCodes={(made) => {
            setOpen(undefined);
            setCodes(made);
            changed();
          }}
        />
      )}
      {(open === "disable" || open === "renew") && (
        <Proven
          what={open}
          hasPassword={factors.has_password}
          onClose={() => setOpen(undefined)}
          onDone={(made) => {
            setOpen(undefined);
            if (made) setCodes(made);
            else toast(t("totp.disabled"));
            changed();
          }}
        />
      )}
      {codes && <RecoveryCodes codes={codes} onDone={() => setCodes(undefined)} />}
    </Section>
  );
}

/** Tells an authenticator app a new secret, and sees that it has learnt it. */
function Enrol({
  hasPassword,
  onClose,
  onCodes,
}: {
  hasPassword: boolean;
  onClose: () => void;
  onCodes: (codes: readonly string[]) => void;
}) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const form = useId();
  const [secret, setSecret] = useState<Schemas["Enrolment"]>();
  const [code, setCode] = useState("");
  const begin = useProven(
    (proof) => data(api.POST("/api/user/totp", { body: proof })),
    (made) => setSecret(made),
    hasPassword,
  );
  const confirm = useMutation({
    mutationFn: () => data(api.POST("/api/user/totp/confirm", { body: { totp: bareCode(code) } })),
    onSuccess: (made) => onCodes(made.recovery_codes),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: it begins once, when it opens
  useEffect(() => begin.run(), []);
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("totp.enrolTitle")}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look="primary" busy={begin.busy || confirm.isPending}>
            {secret ? t("totp.confirm") : t("proof.go")}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (!secret) begin.run();
          else if (!confirm.isPending) confirm.mutate();
        }}
      >
        {!secret && begin.field}
        {!secret && <Problem error={begin.error} />}
        {secret && (
          <>
            <p className="text-sm text-soft">{t("totp.scan")}</p>
            <QrCode text={secret.url} label={t("totp.qr")} />
            <details className="text-sm">
              <summary className="w-fit rounded text-accent">{t("totp.cannotScan")}</summary>
              <p className="mt-2 text-soft">{t("totp.typeIn")}</p>
              <p className="mt-1.5 flex items-start gap-2 rounded-md border bg-sunken py-1.5 pr-1.5 pl-3">
                <code data-testid="totp-secret" className="min-w-0 flex-1 py-1 font-mono text-xs break-all">
                  {secret.secret.match(/.{1,4}/g)?.join(" ")}
                </code>
                <CopyButton value={secret.secret} label={t("totp.copySecret")} />
              </p>
            </details>
            <Field label={t("totp.code")} help={t("totp.codeHelp")} error={errorOf(confirm.error, "totp")} required>
              <Input
                name="totp"
                value={code}
                onChange={(event) => setCode(event.target.value)}
                autoComplete="one-time-code"
                inputMode="numeric"
                spellCheck={false}
                autoFocus
                required
                className="max-w-40 font-mono tracking-widest"
              />
            </Field>
            <Problem error={confirm.error} />
          </>
        )}
      </form>
    </Dialog>
  );
}

function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => qr(text), [text]);
  return (
    // Dark on light in both themes: that is what cameras expect.
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      className="mx-auto size-52 rounded-md border"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

/** Turns the app off, or makes new recovery codes: with the password and a code. */
function Proven({
  what,
  hasPassword,
  onClose,
  onDone,
}: {
  what: "disable" | "renew";
  hasPassword: boolean;
  onClose: () => void;
  onDone: (codes: readonly string[] | undefined) => void;
}) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const form = useId();
  const { data: factors } = useQuery(secondFactorQuery);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const call = useMutation({
    mutationFn: async () => {
      const body = { totp: bareCode(code), ...(hasPassword && { password }) };
      if (what === "renew") return (await data(api.POST("/api/user/recovery_code", { body }))).recovery_codes;
      await data(api.POST("/api/user/totp/disable", { body }));
      return undefined;
    },
    onSuccess: onDone,
  });
  // Right after a passkey's sign-in new codes need no old one: who has lost them all has none to show.
  const optional = what === "renew" && !factors?.totp;
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t(`${what}.title`)}
      description={t(`${what}.help`)}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look={what === "disable" ? "danger" : "primary"} busy={call.isPending}>
            {t(`${what}.submit`)}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (!call.isPending) call.mutate();
        }}
      >
        {hasPassword && (
          <ProofPassword value={password} onChange={setPassword} error={errorOf(call.error, "password")} />
        )}
        <ProofCode
          value={code}
          onChange={setCode}
          help={t(optional ? "proof.codeOptional" : "proof.codeHelp")}
          error={errorOf(call.error, "totp")}
          optional={optional}
        />
        <Problem error={call.error} />
      </form>
    </Dialog>
  );
}
