import { useMutation, useQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { KeyRound, Pencil, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { statusQuery } from "@/api/queries";
import { makePasskey, passkeysWork } from "@/app/passkey";
import { useFormat } from "@/format/format";
import { Button, IconButton } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { Empty, Skeleton } from "@/ui/states";
import { toast } from "@/ui/toast";
import { useProven } from "./proof";
import { passkeysQuery, signInKey } from "./queries";
import { RecoveryCodes } from "./recovery-codes";
import { Section } from "./section";
import { deviceOf } from "./user-agent";

type Passkey = Schemas["Passkey"];

/** One's own passkeys. */
export function Passkeys({ hasPassword }: { hasPassword: boolean }) {
  const { t } = useTranslation("settings");
  const format = useFormat();
  const queries = useQueryClient();
  const { data: status } = useSuspenseQuery(statusQuery);
  const { data: page, error, refetch } = useQuery(passkeysQuery);
  const [adding, setAdding] = useState(false);
  const [renamed, setRenamed] = useState<Passkey>();
  const [deleted, setDeleted] = useState<Passkey>();
  const [codes, setCodes] = useState<readonly string[]>();
  const changed = () => void queries.invalidateQueries({ queryKey: signInKey });
  const possible = status.login_methods.includes("passkey") && passkeysWork();
  return (
    <Section
      title={t("passkeys.title")}
      help={t("passkeys.help")}
      flush
      actions={possible && <Button onClick={() => setAdding(true)}>{t("passkeys.add")}</Button>}
    >
      {error && <Problem error={error} retry={() => void refetch()} className="m-4" />}
      {!page && !error && <Skeleton className="m-4 h-8" />}
      {page?.items.length === 0 && (
        <Empty title={t("passkeys.none")}>{possible ? t("passkeys.noneHelp") : t("passkeys.impossible")}</Empty>
      )}
      {page && page.items.length > 0 && (
        <ul aria-label={t("passkeys.title")}>
          {page.items.map((passkey) => (
            <li key={passkey.id} className="flex items-center gap-3 border-b py-2.5 pr-2 pl-4 last:border-0">
              <KeyRound aria-hidden className="size-4 shrink-0 text-soft" />
              <div className="min-w-0 flex-1 text-sm">
                <p className="truncate font-medium">{passkey.name}</p>
                <p className="text-xs text-soft">
                  {t("passkeys.added", { date: format.date(passkey.created_time) })}
                  {" · "}
                  {passkey.accessed_time > passkey.created_time
                    ? t("passkeys.used", { ago: format.ago(passkey.accessed_time) })
                    : t("passkeys.unused")}
                </p>
              </div>
              <IconButton label={t("passkeys.rename", { name: passkey.name })} onClick={() => setRenamed(passkey)}>
                <Pencil aria-hidden className="size-4" />
              </IconButton>
              <IconButton label={t("passkeys.delete", { name: passkey.name })} onClick={() => setDeleted(passkey)}>
                <Trash2 aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {adding && (
        <AddPasskey
          hasPassword={hasPassword}
          onClose={() => setAdding(false)}
          onMade={(made) => {
            setAdding(false);
            if (made.recovery_codes.length > 0) setCodes(made.recovery_codes);
            toast(t("passkeys.done", { name: made.passkey.name }));
            changed();
          }}
        />
      )}
      {renamed && (
        <RenamePasskey
          passkey={renamed}
          onClose={() => setRenamed(undefined)}
          onDone={() => {
            setRenamed(undefined);
            changed();
          }}
        />
      )}
      {deleted && (
        <DeletePasskey
          passkey={deleted}
          hasPassword={hasPassword}
          onClose={() => setDeleted(undefined)}
          onDone={() => {
            toast(t("passkeys.deleted", { name: deleted.name }));
            setDeleted(undefined);
            changed();
          }}
        />
      )}
      {codes && <RecoveryCodes codes={codes} onDone={() => setCodes(undefined)} />}
    </Section>
  );
}

interface DialogProps {
  onClose: () => void;
}

function AddPasskey({
  hasPassword,
  onClose,
  onMade,
}: DialogProps & { hasPassword: boolean; onMade: (made: Schemas["PasskeyMade"]) => void }) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const form = useId();
  const { browser, system } = deviceOf(navigator.userAgent);
  const [name, setName] = useState([browser, system].filter(Boolean).join(" · "));
  const [calledOff, setCalledOff] = useState(false);
  const add = useProven(
    async (proof) => {
      setCalledOff(false);
      const answer = await makePasskey(await data(api.POST("/api/user/passkey/begin", { body: proof })));
      return answer && data(api.POST("/api/user/passkey", { body: { ...answer, name: name.trim() } }));
    },
    (made) => (made ? onMade(made) : setCalledOff(true)),
    hasPassword,
  );
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("passkeys.add")}
      description={t("passkeys.addHelp")}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look="primary" busy={add.busy}>
            {t("proof.go")}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          add.run();
        }}
      >
        <Field label={t("passkeys.name")} help={t("passkeys.nameHelp")} error={errorOf(add.error, "name")} required>
          <Input value={name} onChange={(event) => setName(event.target.value)} maxLength={50} autoFocus required />
        </Field>
        {add.field}
        {calledOff && (
          <p role="status" className="text-sm text-soft">
            {t("passkeys.calledOff")}
          </p>
        )}
        <Problem error={add.error} />
      </form>
    </Dialog>
  );
}

function RenamePasskey({ passkey, onClose, onDone }: DialogProps & { passkey: Passkey; onDone: () => void }) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const form = useId();
  const [name, setName] = useState(passkey.name);
  const rename = useMutation({
    mutationFn: () =>
      data(api.PATCH("/api/user/passkey/{id}", { params: { path: { id: passkey.id } }, body: { name: name.trim() } })),
    onSuccess: onDone,
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("passkeys.rename", { name: passkey.name })}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look="primary" busy={rename.isPending}>
            {common("action.save")}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (!rename.isPending) rename.mutate();
        }}
      >
        <Field label={t("passkeys.name")} error={errorOf(rename.error, "name")} required>
          <Input value={name} onChange={(event) => setName(event.target.value)} maxLength={50} autoFocus required />
        </Field>
        <Problem error={rename.error} />
      </form>
    </Dialog>
  );
}

function DeletePasskey({
  passkey,
  hasPassword,
  onClose,
  onDone,
}: DialogProps & { passkey: Passkey; hasPassword: boolean; onDone: () => void }) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const form = useId();
  const remove = useProven(
    (proof) => data(api.DELETE("/api/user/passkey/{id}", { params: { path: { id: passkey.id } }, body: proof })),
    onDone,
    hasPassword,
  );
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("passkeys.delete", { name: passkey.name })}
      description={t("passkeys.deleteHelp")}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look="danger" busy={remove.busy}>
            {common("action.delete")}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          remove.run();
        }}
      >
        {remove.field}
        <Problem error={remove.error} />
      </form>
    </Dialog>
  );
}
