import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { usableModelsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { parseUsd } from "@/format/money";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { Confirm, Dialog, SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Segments, Select } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { isAddress } from "./address";
import { type Endpoint, endpoints } from "./draft";
import { useOther } from "./owner";
import { keysKey } from "./queries";
import { modelFor } from "./value-dialog";

interface Props {
  of: Schemas["Key"];
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

const graces = ["0", "3600", "86400", "604800"] as const;

/** Gives a key a new value; the old one works until the grace has passed. */
export function RotateDialog({
  of: key,
  open,
  onOpenChange,
  onRotated,
}: Props & { onRotated: (key: Schemas["Key"]) => void }) {
  const { t } = useTranslation("keys");
  const queries = useQueryClient();
  const [grace, setGrace] = useState<(typeof graces)[number]>("86400");
  const rotate = useMutation({
    mutationFn: () =>
      data(
        api.POST("/api/token/{id}/rotate", {
          params: { path: { id: key.id }, query: { user_id: key.user_id } },
          body: { grace_seconds: Number(grace) },
        }),
      ),
    onSuccess: (rotated) => {
      void queries.invalidateQueries({ queryKey: keysKey });
      onRotated(rotated);
    },
  });
  return (
    <Confirm
      open={open}
      onOpenChange={onOpenChange}
      title={t("rotate.title")}
      action={t("rotate.action")}
      busy={rotate.isPending}
      error={rotate.error}
      onConfirm={() => rotate.mutate()}
    >
      <p>{t("rotate.help")}</p>
      <Field label={t("rotate.grace")} help={grace === "0" ? t("rotate.atOnce") : t("rotate.graceHelp")} group>
        <Segments
          value={grace}
          onChange={setGrace}
          label={t("rotate.grace")}
          options={graces.map((value) => ({ value, label: t(`rotate.after.${value}`) }))}
        />
      </Field>
    </Confirm>
  );
}

/** Adds to what a key may still spend. */
export function TopUpDialog({ of: key, open, onOpenChange }: Props) {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const [amount, setAmount] = useState("5");
  const units = parseUsd(amount);
  const add = useMutation({
    mutationFn: (units: number) =>
      data(
        api.POST("/api/token/{id}/quota", {
          params: { path: { id: key.id }, query: { user_id: key.user_id } },
          body: { add: units },
        }),
      ),
    onSuccess: (after) => {
      toast(t("topUp.done", { amount: format.units(after.remain_quota) }));
      void queries.invalidateQueries({ queryKey: keysKey });
      onOpenChange(false);
    },
  });
  const good = units !== undefined && units !== 0;
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("topUp.title")}
      description={t("topUp.help", { amount: format.units(key.remain_quota) })}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{common("action.cancel")}</Button>
          <Button form="top-up" type="submit" look="primary" disabled={!good} busy={add.isPending}>
            {t("topUp.action")}
          </Button>
        </>
      }
    >
      <form
        id="top-up"
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (good && !add.isPending) add.mutate(units);
        }}
      >
        <Problem error={add.error} />
        <Field
          label={t("topUp.amount")}
          help={good ? t("topUp.after", { amount: format.units(key.remain_quota + units) }) : t("topUp.negative")}
          error={errorOf(add.error, "add")}
        >
          <Input
            inputMode="decimal"
            lead="$"
            value={amount}
            onChange={(event) => setAmount(event.target.value)}
            autoFocus
          />
        </Field>
      </form>
    </Dialog>
  );
}

/** Asks whether a request with the key would be admitted, without making one. */
export function VerifyPanel({ of: key, open, onOpenChange }: Props) {
  const { t } = useTranslation("keys");
  return (
    <SidePanel open={open} onOpenChange={onOpenChange} title={t("verify.title")} description={t("verify.help")}>
      {open && <Verify of={key} />}
    </SidePanel>
  );
}

function Verify({ of: key }: { of: Schemas["Key"] }) {
  const { t } = useTranslation("keys");
  const { data: models = [] } = useQuery(usableModelsQuery(useOther(key.user_id)));
  const [model, setModel] = useState<string>();
  const [ip, setIP] = useState("");
  const [endpoint, setEndpoint] = useState<Endpoint>("chat");
  const asked = model ?? modelFor(key, models);
  const verify = useMutation({
    mutationFn: () =>
      data(
        api.POST("/api/token/{id}/verify", {
          params: { path: { id: key.id }, query: { user_id: key.user_id } },
          body: { model: asked, endpoint, ...(ip.trim() ? { ip: ip.trim() } : {}) },
        }),
      ),
  });
  const verdict = verify.data;
  const badAddress = ip.trim() !== "" && (!isAddress(ip.trim()) || ip.includes("/"));
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!badAddress && !verify.isPending) verify.mutate();
      }}
    >
      <Field label={t("requests.model")} error={errorOf(verify.error, "model")}>
        <Combobox free options={models} value={asked} onChange={setModel} />
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t("verify.endpoint")} error={errorOf(verify.error, "endpoint")}>
          <Select
            value={endpoint}
            onChange={(event) => setEndpoint(event.target.value as Endpoint)}
            options={endpoints.map((value) => ({ value, label: value }))}
          />
        </Field>
        <Field
          label={t("verify.address")}
          error={badAddress ? t("form.wrong.address", { value: ip }) : errorOf(verify.error, "ip")}
        >
          <Input
            value={ip}
            onChange={(event) => setIP(event.target.value)}
            placeholder={t("verify.anyAddress")}
            spellCheck={false}
          />
        </Field>
      </div>
      <div>
        <Button type="submit" look="primary" busy={verify.isPending}>
          {t("verify.ask")}
        </Button>
      </div>
      <Problem error={verify.error} />
      {verdict && (
        <section aria-live="polite" className="border-t pt-4 text-sm">
          <p className={`flex items-start gap-2 font-medium ${verdict.allowed ? "text-good" : "text-bad"}`}>
            {verdict.allowed ? (
              <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
            ) : (
              <CircleX aria-hidden className="mt-0.5 size-4 shrink-0" />
            )}
            <span>
              {verdict.allowed ? t("verify.allowed") : t("verify.refused")}
              {verdict.message && <span className="block font-normal">{verdict.message}</span>}
              {verdict.code && <code className="block font-mono text-xs font-normal">{verdict.code}</code>}
            </span>
          </p>
          {verdict.plan && verdict.plan.length > 0 && (
            <>
              <h3 className="mt-4 mb-1.5 font-medium">{t("verify.plan")}</h3>
              <ol className="flex flex-col gap-1.5">
                {verdict.plan.map((step, i) => (
                  <li key={`${step.channel_id}-${step.group}`} className="flex gap-2">
                    <span className="text-faint">{i + 1}.</span>
                    <span>
                      {t("verify.step", { channel: step.channel_id, group: step.group })}
                      <span className="block text-xs text-soft">{step.why}</span>
                    </span>
                  </li>
                ))}
              </ol>
            </>
          )}
        </section>
      )}
    </form>
  );
}

/** Ends a key for good, after its name has been typed. */
export function DeleteDialog({ of: key, open, onOpenChange, onDeleted }: Props & { onDeleted: () => void }) {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      data(api.DELETE("/api/token/{id}", { params: { path: { id: key.id }, query: { user_id: key.user_id } } })),
    onSuccess: () => {
      queries.removeQueries({ queryKey: [...keysKey, "list"] }); // they still have it
      onDeleted();
      toast(t("done.deleted", { name: key.name }));
      queries.removeQueries({ queryKey: [...keysKey, "one", key.id] });
    },
  });
  return (
    <Confirm
      open={open}
      onOpenChange={onOpenChange}
      title={t("delete.title", { name: key.name })}
      action={common("action.delete")}
      typed={key.name}
      danger
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
    >
      <p>{t("delete.help")}</p>
    </Confirm>
  );
}
