import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { usableGroupsQuery, usableModelsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { unitsPerUsd, usdOf } from "@/format/money";
import { addDays, dateOf } from "@/format/zone";
import { Button, IconButton } from "@/ui/button";
import { TokenInput } from "@/ui/combobox";
import { SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Form, useAsFilled } from "@/ui/form";
import { Checkbox, Input, Segments, Select } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { isAddress } from "./address";
import { type Bounds, boundsOf, fits, modelsWithin } from "./bounds";
import {
  amountOf,
  bodyOf,
  checkDraft,
  type Draft,
  type DraftErrors,
  draftOf,
  endpoints,
  modelRates,
  newDraft,
  rates,
} from "./draft";
import { useOther } from "./owner";
import { keyQuery, keysKey } from "./queries";

type Key = Schemas["Key"];

interface Props {
  /** The key to change; a new one when it is left out. */
  before?: Key;
  /** The key that issues the new one. */
  parent?: Key;
  /** For whom it is, when not for the viewer. */
  owner?: Schemas["User"] | undefined;
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onSaved: (key: Key) => void;
}

/** The form of a key, in a panel. */
export function KeyPanel({ before, parent, owner, open, onOpenChange, onSaved }: Props) {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const [busy, setBusy] = useState(false);
  return (
    <SidePanel
      open={open}
      onOpenChange={onOpenChange}
      holds
      title={
        before
          ? t("form.editTitle", { name: before.name })
          : parent
            ? t("children.newTitle", { name: parent.name })
            : owner
              ? t("owner.newTitle", { name: owner.username })
              : t("form.newTitle")
      }
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{common("action.cancel")}</Button>
          <Button type="submit" form="key" look="primary" busy={busy}>
            {before ? common("action.save") : t("form.create")}
          </Button>
        </>
      }
    >
      <KeyForm before={before} parent={parent} owner={owner?.id} onSaved={onSaved} onBusy={setBusy} />
    </SidePanel>
  );
}

function KeyForm({
  before: current,
  parent: issuer,
  owner,
  onSaved,
  onBusy,
}: {
  before: Key | undefined;
  parent: Key | undefined;
  owner: number | undefined;
  onSaved: (key: Key) => void;
  onBusy: (busy: boolean) => void;
}) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const queries = useQueryClient();
  const before = useAsFilled(current);
  const [first] = useState(() => (before ? draftOf(before, format.zone) : newDraft(issuer)));
  const [draft, setDraft] = useState(first);
  const [wrong, setWrong] = useState<DraftErrors>({});
  const set = (to: Partial<Draft>) => setDraft((now) => ({ ...now, ...to }));
  const other = useOther(before?.user_id ?? issuer?.user_id ?? owner);
  const groups = useQuery(usableGroupsQuery(other));
  const models = useQuery(usableModelsQuery(other));
  const parentId = before?.limits.parent_id ?? 0;
  const found = useQuery({ ...keyQuery(parentId, other), enabled: parentId > 0, placeholderData: undefined });
  const parent = issuer ?? found.data;
  const bounds = useMemo(() => (parent ? boundsOf(parent) : undefined), [parent]);
  const save = useMutation({
    mutationFn: () => {
      const body = bodyOf(draft, Date.now() / 1000, format.zone, before ? first : undefined, bounds?.ends);
      const made = { ...body, name: draft.name.trim() };
      const query = { user_id: other };
      if (issuer)
        return data(api.POST("/api/token/{id}/children", { params: { path: { id: issuer.id }, query }, body: made }));
      if (!before) return data(api.POST("/api/token/", { params: { query }, body: made }));
      return data(
        api.PUT("/api/token/", {
          params: { header: { "If-Match": `"${before.version}"` }, query },
          body: { ...body, id: before.id },
        }),
      );
    },
    onMutate: () => onBusy(true),
    onSettled: () => onBusy(false),
    onError: () => void queries.invalidateQueries({ queryKey: keysKey }), // it may be another by now
    onSuccess: async (key) => {
      await queries.invalidateQueries({ queryKey: keysKey });
      onSaved(key);
    },
  });
  const refused = save.error;
  const told = (key: keyof DraftErrors, ...params: string[]) => {
    const message = wrong[key];
    return message ? t(message) : errorOf(refused, ...params);
  };
  const today = dateOf(Date.now() / 1000, format.zone);
  const amount = amountOf(draft);
  const left = bounds?.left === undefined ? undefined : format.units(bounds.left);
  const quotaHelp = !bounds
    ? t(draft.unlimited ? "form.unlimitedHelp" : before ? "form.remainingHelp" : "form.quotaHelp")
    : draft.unlimited
      ? left === undefined
        ? t("form.child.unlimitedOpen")
        : t("form.child.unlimited", { left })
      : left === undefined
        ? t("form.child.quotaOpen")
        : t("form.child.quota", { left });
  const { ends } = bounds ?? {};
  const expiries = (["never", "7", "30", "90", "365", "date"] as const).filter(
    (value) => !(ends !== undefined && Number(value) * 86_400 > ends - Date.now() / 1000),
  );
  const lastDay = ends === undefined ? undefined : dateOf(ends - 1, format.zone);
  const joined = (values: readonly string[]) => values.join(", ");

  return (
    <Form
      error={refused}
      id="key"
      noValidate
      className="flex flex-col gap-6"
      onSubmit={(event) => {
        event.preventDefault();
        const errors = checkDraft(draft);
        setWrong(errors);
        if (Object.keys(errors).length > 0) {
          const form = event.currentTarget;
          requestAnimationFrame(() => form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
          return;
        }
        if (!save.isPending) save.mutate();
      }}
    >
      <Problem error={refused} />
      <Field label={t("column.name")} help={t("form.nameHelp")} error={told("name", "name")} required>
        <Input
          value={draft.name}
          onChange={(event) => set({ name: event.target.value })}
          autoComplete="off"
          autoFocus={!before}
          maxLength={200}
        />
      </Field>

      <Part title={t("form.spending")}>
        <Field label={t("form.quota")} help={quotaHelp} group>
          <Segments
            value={draft.unlimited ? "unlimited" : "limited"}
            onChange={(value) => set({ unlimited: value === "unlimited" })}
            label={t("form.quota")}
            options={[
              { value: "limited", label: t("form.limited") },
              { value: "unlimited", label: t("unlimited") },
            ]}
          />
        </Field>
        {!draft.unlimited && (
          <Field
            label={before ? t("form.remaining") : t("form.amount")}
            error={told("amount", "remain_quota")}
            aside={
              amount !== undefined &&
              (draft.amountIn === "usd"
                ? t("form.inUnits", { units: format.number(amount) })
                : format.usd(usdOf(amount)))
            }
          >
            <div className="flex gap-2">
              <div className="flex-1">
                <Input
                  inputMode="decimal"
                  lead={draft.amountIn === "usd" ? "$" : undefined}
                  value={draft.amount}
                  onChange={(event) => set({ amount: event.target.value })}
                />
              </div>
              <Select
                id={undefined}
                aria-label={t("form.amountIn")}
                className="w-32"
                value={draft.amountIn}
                onChange={(event) => {
                  const amountIn = event.target.value as Draft["amountIn"];
                  set({
                    amountIn,
                    ...(amount === undefined
                      ? {}
                      : { amount: amountIn === "usd" ? String(amount / unitsPerUsd) : String(amount) }),
                  });
                }}
                options={[
                  { value: "usd", label: t("form.dollars") },
                  { value: "units", label: t("form.units") },
                ]}
              />
            </div>
          </Field>
        )}
        <Budgets draft={draft} set={set} told={told} bounds={bounds} />
      </Part>

      <Part title={t("form.life")}>
        <Field
          label={t("column.expires")}
          help={ends === undefined ? t("form.expiryHelp") : t("form.child.expiry", { when: format.dateTime(ends) })}
          error={errorOf(refused, "expired_time")}
          group
        >
          <Segments
            value={draft.expiry}
            onChange={(expiry) =>
              set({
                expiry,
                ...(expiry === "date" && !draft.expiryDate ? { expiryDate: firstOf(addDays(today, 30), lastDay) } : {}),
              })
            }
            label={t("column.expires")}
            options={expiries.map((value) => ({
              value,
              label: value === "never" && ends !== undefined ? t("form.child.withParent") : t(`form.expiry.${value}`),
            }))}
          />
        </Field>
        {draft.expiry === "date" && (
          <Field label={t("form.lastDay")} error={told("expiryDate")}>
            <Input
              type="date"
              value={draft.expiryDate}
              min={today}
              max={lastDay}
              onChange={(event) => set({ expiryDate: event.target.value })}
            />
          </Field>
        )}
      </Part>

      <Part title={t("form.reach")}>
        <Field
          label={t("form.models")}
          help={
            bounds?.models
              ? t(draft.someModels ? "form.child.modelsWithin" : "form.child.modelsHelp", {
                  models: joined(bounds.models),
                })
              : t(draft.someModels ? "form.modelsHelp" : "form.allModelsHelp")
          }
          group
        >
          <Segments
            value={draft.someModels ? "some" : "all"}
            onChange={(value) => set({ someModels: value === "some" })}
            label={t("form.models")}
            options={[
              { value: "all", label: bounds?.models ? t("form.child.models") : t("form.allModels") },
              { value: "some", label: t("form.someModels") },
            ]}
          />
        </Field>
        {draft.someModels && (
          <Field label={t("form.theModels")} error={told("models", "model_limits")}>
            <TokenInput
              options={modelsWithin(bounds, models.data ?? [])}
              values={draft.models}
              onChange={(models) => set({ models })}
              placeholder={bounds?.models ? joined(bounds.models) : "gpt-5*, claude-*"}
              check={(value) => (value.includes(",") ? t("form.wrong.comma") : undefined)}
              noteFor={(value) =>
                value.includes("*")
                  ? t("form.matches", { count: models.data?.filter((model) => fits(value, model)).length ?? 0 })
                  : t("form.unknownModel")
              }
            />
          </Field>
        )}
        <Field
          label={t("form.addresses")}
          help={
            bounds?.addresses
              ? t("form.child.addresses", { addresses: joined(bounds.addresses) })
              : t("form.addressesHelp")
          }
          error={errorOf(refused, "allow_ips")}
        >
          <TokenInput
            options={[]}
            values={draft.addresses}
            onChange={(addresses) => set({ addresses })}
            placeholder={bounds?.addresses ? t("form.child.asParent") : t("form.anyAddress")}
            check={(value) => (isAddress(value) ? undefined : t("form.wrong.address", { value }))}
          />
        </Field>
        <Field
          label={t("form.endpoints")}
          help={bounds?.endpoints ? t("form.child.endpoints") : t("form.endpointsHelp")}
          error={errorOf(refused, "limits.endpoints")}
          group
        >
          <div className="grid grid-cols-2 gap-x-3 gap-y-1.5 sm:grid-cols-3">
            {endpoints.map((endpoint) => (
              <Checkbox
                key={endpoint}
                label={<code className="font-mono text-xs">{endpoint}</code>}
                checked={draft.endpoints.includes(endpoint)}
                disabled={
                  bounds?.endpoints && !bounds.endpoints.includes(endpoint) && !draft.endpoints.includes(endpoint)
                }
                onChange={(event) =>
                  set({
                    endpoints: event.target.checked
                      ? [...draft.endpoints, endpoint]
                      : draft.endpoints.filter((one) => one !== endpoint),
                  })
                }
              />
            ))}
          </div>
        </Field>
        <Field label={t("column.group")} help={t("form.groupHelp")} error={errorOf(refused, "group")}>
          <Select
            value={draft.group}
            onChange={(event) => set({ group: event.target.value })}
            options={[
              { value: "", label: t("form.ownGroup") },
              { value: "auto", label: t("form.autoGroup") },
              ...Object.entries(groups.data ?? {}).map(([name, group]) => ({
                value: name,
                label: t("form.groupOption", {
                  name: group.desc ? `${name} · ${group.desc}` : name,
                  ratio: group.ratio,
                }),
              })),
              ...(draft.group && draft.group !== "auto" && groups.data && !(draft.group in groups.data)
                ? [{ value: draft.group, label: draft.group }]
                : []),
            ]}
          />
        </Field>
        {draft.group === "auto" && (
          <Checkbox
            label={t("form.crossGroup")}
            help={t("form.crossGroupHelp")}
            checked={draft.crossGroupRetry}
            onChange={(event) => set({ crossGroupRetry: event.target.checked })}
          />
        )}
      </Part>

      <Part title={t("form.rates")} help={bounds && hasRates(bounds) ? t("form.child.rates") : t("form.ratesHelp")}>
        <div className="grid gap-4 sm:grid-cols-2">
          {rates.map((rate) => (
            <Field
              key={rate}
              label={t(`form.rate.${rate}`)}
              help={t(`form.rateHelp.${rate}`)}
              error={told(rate, `limits.${rate}`)}
            >
              <Input
                inputMode="numeric"
                placeholder={
                  bounds?.rates[rate] === undefined
                    ? t("form.noLimit")
                    : t("form.child.most", { value: format.number(bounds.rates[rate]) })
                }
                value={draft[rate]}
                onChange={(event) => set({ [rate]: event.target.value })}
              />
            </Field>
          ))}
        </div>
        <ModelRates
          draft={draft}
          set={set}
          told={told}
          models={modelsWithin(bounds, models.data ?? [])}
          bounds={bounds}
        />
      </Part>

      <Part title={t("form.metadata")} help={t("form.metadataHelp")}>
        <Metadata draft={draft} set={set} told={told} />
      </Part>
    </Form>
  );
}

function Part({ title, help, children }: { title: string; help?: string; children: ReactNode }) {
  return (
    <fieldset className="flex flex-col gap-4 border-t pt-4">
      <legend className="float-left mb-1 w-full text-sm font-semibold">{title}</legend>
      {help && <p className="-mt-3 text-xs text-soft">{help}</p>}
      {children}
    </fieldset>
  );
}

interface RowsProps {
  draft: Draft;
  set: (to: Partial<Draft>) => void;
  told: (key: keyof DraftErrors, ...params: string[]) => string | undefined;
}

/** The earlier of two dates; the second may be open. */
const firstOf = (date: string, other: string | undefined) => (other !== undefined && other < date ? other : date);

const hasRates = (bounds: Bounds) => Object.keys(bounds.rates).length > 0 || bounds.modelRates.length > 0;

function Budgets({ draft, set, told, bounds }: RowsProps & { bounds: Bounds | undefined }) {
  const { t } = useTranslation("keys");
  const change = (row: number, to: Partial<Draft["budgets"][number]>) =>
    set({ budgets: draft.budgets.map((budget) => (budget.row === row ? { ...budget, ...to } : budget)) });
  return (
    <Field
      label={t("form.budgets")}
      help={t(bounds?.budgets ? "form.child.budgets" : "form.budgetsHelp")}
      error={told(`budget-${-1}`, "limits.budgets")}
      group
    >
      {draft.budgets.map((budget) => (
        <div key={budget.row}>
          <div className="flex gap-2">
            <div className="min-w-0 flex-1">
              <Input
                aria-label={t("form.budgetAmount")}
                aria-invalid={isWrong(told, `budget-${budget.row}`)}
                inputMode="decimal"
                lead="$"
                value={budget.usd}
                onChange={(event) => change(budget.row, { usd: event.target.value })}
              />
            </div>
            <Select
              aria-label={t("form.budgetPeriod")}
              className="w-36"
              value={budget.period}
              onChange={(event) => change(budget.row, { period: event.target.value as typeof budget.period })}
              options={(["day", "week", "month", "hours"] as const).map((value) => ({
                value,
                label: t(`form.period.${value}`),
              }))}
            />
            {budget.period === "hours" && (
              <div className="w-20">
                <Input
                  aria-label={t("form.hours")}
                  inputMode="numeric"
                  value={budget.hours}
                  onChange={(event) => change(budget.row, { hours: event.target.value })}
                />
              </div>
            )}
            <IconButton
              label={t("form.removeBudget")}
              onClick={() => set({ budgets: draft.budgets.filter((one) => one.row !== budget.row) })}
            >
              <X aria-hidden className="size-4" />
            </IconButton>
          </div>
          <Wrong text={told(`budget-${budget.row}`)} />
        </div>
      ))}
      <div>
        <Button
          size="small"
          icon={<Plus aria-hidden className="size-3.5" />}
          onClick={() =>
            set({
              budgets: [
                ...draft.budgets,
                {
                  row: nextRow(draft.budgets),
                  usd: "",
                  period: "month",
                  hours: "24",
                },
              ],
            })
          }
        >
          {t("form.addBudget")}
        </Button>
      </div>
    </Field>
  );
}

function isWrong(told: RowsProps["told"], row: keyof DraftErrors) {
  return told(row) !== undefined || undefined;
}

/** The number of a row that is added to some. */
const nextRow = (rows: readonly { row: number }[]) => Math.max(-1, ...rows.map((one) => one.row)) + 1;

/** What is wrong with a row of several controls. */
function Wrong({ text }: { text: string | undefined }) {
  if (!text) return null;
  return (
    <p role="alert" className="mt-1 text-xs text-bad">
      {text}
    </p>
  );
}

function ModelRates({
  draft,
  set,
  told,
  models,
  bounds,
}: RowsProps & { models: readonly string[]; bounds: Bounds | undefined }) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const parents = bounds?.modelRates
    .flatMap((of) =>
      modelRates
        .filter((rate) => of.rates[rate] !== undefined)
        .map((rate) =>
          t("rules.rate", {
            rate: `${of.model} · ${t(`form.rate.${rate}`)}`,
            value: format.number(of.rates[rate] ?? 0),
          }),
        ),
    )
    .join(", ");
  const rows = draft.modelRates;
  const change = (row: number, to: Partial<Draft["modelRates"][number]>) =>
    set({ modelRates: rows.map((one) => (one.row === row ? { ...one, ...to } : one)) });
  return (
    <Field
      label={t("form.modelRates")}
      help={parents ? t("form.child.modelRates", { rates: parents }) : t("form.modelRatesHelp")}
      error={told(`rates-${-1}`, "limits.per_model")}
      group
    >
      {rows.map((one) => (
        <fieldset key={one.row} className="rounded-md border p-3" aria-label={one.model || t("form.modelPattern")}>
          <div className="flex gap-2">
            <div className="min-w-0 flex-1">
              <Input
                id={`model-of-${one.row}`}
                aria-label={t("form.modelPattern")}
                aria-invalid={isWrong(told, `rates-${one.row}`)}
                list="models-with-rates"
                placeholder="gpt-5*"
                spellCheck={false}
                value={one.model}
                onChange={(event) => change(one.row, { model: event.target.value })}
              />
            </div>
            <IconButton
              label={t("form.removeModelRates")}
              onClick={() => set({ modelRates: rows.filter(({ row }) => row !== one.row) })}
            >
              <X aria-hidden className="size-4" />
            </IconButton>
          </div>
          <div className="mt-3 grid grid-cols-2 gap-3">
            {modelRates.map((rate) => (
              <Field key={rate} label={t(`form.rate.${rate}`)}>
                <Input
                  inputMode="numeric"
                  placeholder={t("form.noLimit")}
                  value={one[rate]}
                  onChange={(event) => change(one.row, { [rate]: event.target.value })}
                />
              </Field>
            ))}
          </div>
          <Wrong text={told(`rates-${one.row}`)} />
        </fieldset>
      ))}
      <datalist id="models-with-rates">
        {models.map((model) => (
          <option key={model} value={model} />
        ))}
      </datalist>
      <div>
        <Button
          size="small"
          icon={<Plus aria-hidden className="size-3.5" />}
          onClick={() =>
            set({
              modelRates: [...rows, { row: nextRow(rows), model: "", rpm: "", tpm: "", tpm_input: "", tpm_output: "" }],
            })
          }
        >
          {t("form.addModelRates")}
        </Button>
      </div>
    </Field>
  );
}

function Metadata({ draft, set, told }: RowsProps) {
  const { t } = useTranslation("keys");
  const rows = draft.metadata;
  const change = (row: number, to: Partial<Draft["metadata"][number]>) =>
    set({ metadata: rows.map((one) => (one.row === row ? { ...one, ...to } : one)) });
  return (
    <Field label={t("form.entries")} error={told(`note-${-1}`, "limits.metadata")} group>
      {rows.map((one) => (
        <div key={one.row}>
          <div className="flex gap-2">
            <div className="w-36 shrink-0">
              <Input
                id={`note-name-${one.row}`}
                aria-label={t("form.entryName")}
                aria-invalid={isWrong(told, `note-${one.row}`)}
                placeholder={t("form.entryName")}
                maxLength={64}
                value={one.name}
                onChange={(event) => change(one.row, { name: event.target.value })}
              />
            </div>
            <div className="min-w-0 flex-1">
              <Input
                id={`note-text-${one.row}`}
                aria-label={t("form.entryText")}
                placeholder={t("form.entryText")}
                maxLength={512}
                value={one.text}
                onChange={(event) => change(one.row, { text: event.target.value })}
              />
            </div>
            <IconButton
              label={t("form.removeEntry")}
              onClick={() => set({ metadata: rows.filter(({ row }) => row !== one.row) })}
            >
              <X aria-hidden className="size-4" />
            </IconButton>
          </div>
          <Wrong text={told(`note-${one.row}`)} />
        </div>
      ))}
      <div>
        <Button
          size="small"
          icon={<Plus aria-hidden className="size-3.5" />}
          onClick={() => set({ metadata: [...rows, { row: nextRow(rows), name: "", text: "" }] })}
        >
          {t("form.addEntry")}
        </Button>
      </div>
    </Field>
  );
}
