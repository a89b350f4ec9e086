import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, X } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Confirm, SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Form } from "@/ui/form";
import { Input } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { PageLoading } from "@/ui/states";
import { toast } from "@/ui/toast";
import {
  definitionOf,
  formOf,
  isFilled,
  type Kind,
  kinds,
  namedTwice,
  newTier,
  type PriceForm,
  type TierForm,
} from "./form";
import { priceQuery, pricesKey, versionsQuery } from "./queries";
import { PeriodSelect, type RatedPeriod, RatedTotals, useRerate } from "./rerate";

interface Props {
  /** The model; "" for one that is yet to be named, undefined when it is closed. */
  model: string | undefined;
  onClose: () => void;
}

/** A model's price: what is in force, another one, and its past. */
export function PricePanel({ model, onClose }: Props) {
  const { t } = useTranslation("prices");
  return (
    <SidePanel
      open={model !== undefined}
      onOpenChange={(open) => !open && onClose()}
      holds
      wide
      title={model ? model : t("new.title")}
    >
      {model !== undefined && <Loaded key={model} model={model} onClose={onClose} />}
    </SidePanel>
  );
}

function Loaded({ model, onClose }: { model: string; onClose: () => void }) {
  const price = useQuery({ ...priceQuery(model), enabled: model !== "" });
  const missing = price.error instanceof ApiError && price.error.status === 404;
  if (model !== "" && price.error && !missing)
    return <Problem error={price.error} retry={() => void price.refetch()} />;
  if (model !== "" && price.isPending) return <PageLoading />;
  return <PriceFields model={model} price={missing ? undefined : price.data} onClose={onClose} />;
}

function PriceFields({
  model,
  price,
  onClose,
}: {
  model: string;
  price: Schemas["Price"] | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation("prices");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const [name, setName] = useState(model);
  const [form, setForm] = useState<PriceForm>(() => formOf(price));
  const [ending, setEnding] = useState(false);
  const [period, setPeriod] = useState<RatedPeriod>("last-month");
  const { rate, cancel } = useRerate();
  const versions = useQuery({ ...versionsQuery(model, 1, 100), enabled: model !== "" });
  const set = (to: Partial<PriceForm>) => setForm((now) => ({ ...now, ...to }));
  const done = async (text: string) => {
    await queries.invalidateQueries({ queryKey: pricesKey });
    toast(text);
    onClose();
  };
  const save = useMutation({
    mutationFn: () =>
      data(api.PUT("/api/price/{model}", { params: { path: { model: name.trim() } }, body: definitionOf(form) })),
    onSuccess: (saved) => done(t("edit.done", { model: saved.model, version: saved.version })),
  });
  const end = useMutation({
    mutationFn: () => data(api.DELETE("/api/price/{model}", { params: { path: { model } } })),
    onSuccess: () => done(t("end.done", { model })),
  });
  const fault = save.error ?? rate.error;
  const told = (...names: string[]) => errorOf(fault, ...names);
  const placed = told(
    "model",
    ...kinds,
    "per_request",
    "per_search",
    "max_input_tokens",
    "max_output_tokens",
    "mode",
    "vendor",
  );
  const exactly = (...names: string[]) =>
    fault instanceof ApiError && names.includes(fault.param ?? "") ? fault.message : undefined;
  const inTiers = fault instanceof ApiError && /^(above_prompt_tokens\[|service_tiers\b)/.test(fault.param ?? "");
  const twice = namedTwice(form.serviceTiers);
  const aborted = fault instanceof DOMException;
  return (
    <Form
      error={save.error}
      className="flex flex-col gap-5"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        if (!save.isPending && twice.size === 0) save.mutate();
      }}
    >
      {price && (
        <p className="flex flex-wrap items-center gap-2 text-sm text-soft">
          <Badge tone={price.source === "custom" ? "accent" : "plain"}>{t(`source.${price.source}`)}</Badge>
          <code className="font-mono text-xs">{price.version}</code>
          {price.source === "catalog" && <span>{t("edit.catalog")}</span>}
        </p>
      )}
      {model === "" && (
        <Field label={t("field.model")} required help={t("field.modelHelp")} error={told("model")}>
          <Input value={name} placeholder="my-model" onChange={(event) => setName(event.target.value)} />
        </Field>
      )}
      <Part title={t("part.tokens")} help={t("part.tokensHelp")}>
        <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
          {kinds.map((kind) => (
            <Field key={kind} label={t(`kind.${kind}`)} error={told(kind)}>
              <Input
                inputMode="decimal"
                lead="$"
                placeholder={
                  kind === "input" || kind === "output"
                    ? ""
                    : t(kind.endsWith("output") ? "kind.asOutput" : "kind.asInput")
                }
                value={form.rates[kind]}
                onChange={(event) => set({ rates: { ...form.rates, [kind]: event.target.value } })}
              />
            </Field>
          ))}
        </div>
      </Part>
      <Part title={t("part.other")}>
        <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
          <Field label={t("field.perRequest")} error={told("per_request")}>
            <Input
              inputMode="decimal"
              lead="$"
              value={form.perRequest}
              onChange={(event) => set({ perRequest: event.target.value })}
            />
          </Field>
          <Field label={t("field.perSearch")} error={told("per_search")}>
            <Input
              inputMode="decimal"
              lead="$"
              value={form.perSearch}
              onChange={(event) => set({ perSearch: event.target.value })}
            />
          </Field>
          <Field label={t("field.mode")} error={told("mode")}>
            <Input placeholder="chat" value={form.mode} onChange={(event) => set({ mode: event.target.value })} />
          </Field>
          <Field label={t("field.maxInput")} error={told("max_input_tokens")}>
            <Input
              inputMode="numeric"
              value={form.maxInput}
              onChange={(event) => set({ maxInput: event.target.value })}
            />
          </Field>
          <Field label={t("field.maxOutput")} error={told("max_output_tokens")}>
            <Input
              inputMode="numeric"
              value={form.maxOutput}
              onChange={(event) => set({ maxOutput: event.target.value })}
            />
          </Field>
          <Field label={t("field.vendor")} error={told("vendor")}>
            <Input placeholder="custom" value={form.vendor} onChange={(event) => set({ vendor: event.target.value })} />
          </Field>
        </div>
      </Part>
      <Tiers
        title={t("part.longPrompts")}
        help={t("part.longPromptsHelp")}
        at={t("field.over")}
        placeholder="200000"
        path={(i) => `above_prompt_tokens[${i}]`}
        fault={fault}
        base={form.rates}
        tiers={form.longPrompts}
        onChange={(longPrompts) => set({ longPrompts })}
      />
      <Tiers
        title={t("part.serviceTiers")}
        help={t("part.serviceTiersHelp")}
        at={t("field.tier")}
        placeholder="flex"
        path={(_, name) => `service_tiers.${name}`}
        twice={twice}
        error={exactly("service_tiers")}
        fault={fault}
        base={form.rates}
        tiers={form.serviceTiers}
        onChange={(serviceTiers) => set({ serviceTiers })}
      />
      <Part title={t("part.rerate")} help={t("part.rerateHelp")}>
        <div className="flex flex-wrap items-end gap-2">
          <div className="w-44">
            <Field label={common("period.label")}>
              <PeriodSelect value={period} onChange={setPeriod} />
            </Field>
          </div>
          <Button
            busy={rate.isPending}
            disabled={name.trim() === ""}
            onClick={() => rate.mutate({ period, model: name.trim(), price: definitionOf(form) })}
          >
            {t("rerate.run")}
          </Button>
          {rate.isPending && <Button onClick={cancel}>{common("action.cancel")}</Button>}
        </div>
        {rate.data && !rate.isPending && <RatedTotals models={rate.data.models} />}
      </Part>
      {(versions.data?.total ?? 0) > 0 && (
        <Part title={t("part.history")}>
          <ol className="divide-y rounded-md border text-sm">
            {versions.data?.items.map((version) => (
              <li key={version.version} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2">
                <code className="font-mono text-xs">{version.version}</code>
                <span className="text-xs text-soft">{format.dateTime(version.created_time)}</span>
                <span className="min-w-0 flex-1 text-xs text-soft">
                  {version.price ? summaryOf(version.price, t) : t("history.ended")}
                </span>
                {version.price && (
                  <Button size="small" look="quiet" onClick={() => setForm(formOf(version.price ?? undefined))}>
                    {t("history.take")}
                  </Button>
                )}
              </li>
            ))}
          </ol>
        </Part>
      )}
      {!aborted && fault && !placed && !inTiers ? <Problem error={fault} /> : null}
      <div className="sticky -bottom-6 -mx-5 -mb-6 flex flex-wrap justify-end gap-2 border-t bg-raised px-5 py-3">
        {price?.source === "custom" && (
          <Button look="quiet" className="mr-auto text-bad" onClick={() => setEnding(true)}>
            {t("end.action")}
          </Button>
        )}
        <Button onClick={onClose}>{common("action.cancel")}</Button>
        <Button type="submit" look="primary" busy={save.isPending} disabled={name.trim() === ""}>
          {t("edit.save")}
        </Button>
      </div>
      <Confirm
        open={ending}
        onOpenChange={setEnding}
        danger
        title={t("end.title", { model })}
        action={t("end.action")}
        busy={end.isPending}
        error={end.error}
        onConfirm={() => end.mutate()}
      >
        <p>{t("end.help")}</p>
      </Confirm>
    </Form>
  );
}

type T = ReturnType<typeof useTranslation<"prices">>["t"];

/** A price in a few words. */
export function summaryOf(price: Schemas["PriceDefinition"], t: T): string {
  const { input, output, per_request, per_search } = price;
  const parts = [
    input !== undefined && t("summary.input", { usd: String(input) }),
    output !== undefined && t("summary.output", { usd: String(output) }),
    per_request !== undefined && t("summary.perRequest", { usd: String(per_request) }),
    per_search !== undefined && t("summary.perSearch", { usd: String(per_search) }),
  ];
  return parts.filter(Boolean).join(" · ");
}

function Part({ title, help, children }: { title: string; help?: string; children: ReactNode }) {
  return (
    <section className="flex flex-col gap-3">
      <div>
        <h3 className="border-b pb-1.5 text-sm font-semibold">{title}</h3>
        {help && <p className="mt-1.5 text-xs text-soft">{help}</p>}
      </div>
      {children}
    </section>
  );
}

interface TiersProps {
  title: string;
  help: string;
  /** What a tier is for, and an example. */
  at: string;
  placeholder: string;
  /** How the server calls a tier that is sent as the i-th, in what it says against it. */
  path: (i: number, name: string) => string;
  /** Names that are there twice. */
  twice?: ReadonlySet<string>;
  error?: string | undefined;
  fault: unknown;
  /** What is paid without a tier. */
  base: PriceForm["rates"];
  tiers: readonly TierForm[];
  onChange: (tiers: TierForm[]) => void;
}

function Tiers({ title, help, at, placeholder, path, twice, error, fault, base, tiers, onChange }: TiersProps) {
  const { t } = useTranslation("prices");
  const { t: common } = useTranslation();
  const change = (index: number, to: Partial<TierForm>) =>
    onChange(tiers.map((one, i) => (i === index ? { ...one, ...to } : one)));
  const param = fault instanceof ApiError ? fault.param : undefined;
  const told = (...names: string[]) =>
    fault instanceof ApiError && param !== undefined && names.includes(param) ? fault.message : undefined;
  const sent = tiers.filter(isFilled);
  return (
    <Part title={title} help={help}>
      {tiers.map((tier, i) => {
        const here = path(sent.indexOf(tier), tier.at.trim());
        return (
          <fieldset
            // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
            key={i}
            aria-label={tier.at || at}
            className="rounded-md border p-3"
          >
            <div className="mb-3 flex items-end gap-1.5">
              <div className="min-w-0 flex-1 sm:max-w-60">
                <Field label={at} error={twice?.has(tier.at.trim()) ? t("field.twice") : told(here, `${here}.over`)}>
                  <Input
                    value={tier.at}
                    placeholder={placeholder}
                    onChange={(event) => change(i, { at: event.target.value })}
                  />
                </Field>
              </div>
              <IconButton
                label={common("action.remove")}
                className="ml-auto"
                onClick={() => onChange(tiers.filter((_, index) => index !== i))}
              >
                <X aria-hidden className="size-3.5" />
              </IconButton>
            </div>
            <TierRates
              rates={tier.rates}
              base={base}
              errorOf={(kind) => told(`${here}.${kind}`)}
              onChange={(rates) => change(i, { rates })}
            />
          </fieldset>
        );
      })}
      {error && (
        <p role="alert" className="text-xs text-bad">
          {error}
        </p>
      )}
      <Button
        size="small"
        className="self-start"
        icon={<Plus aria-hidden className="size-3.5" />}
        onClick={() => onChange([...tiers, newTier()])}
      >
        {common("action.add")}
      </Button>
    </Part>
  );
}

/** The kinds of tokens that a tier often has a price for; the others come on demand. */
const usual: readonly Kind[] = ["input", "output", "cache_read"];

function TierRates({
  rates,
  base,
  errorOf,
  onChange,
}: {
  rates: TierForm["rates"];
  base: PriceForm["rates"];
  errorOf: (kind: Kind) => string | undefined;
  onChange: (rates: TierForm["rates"]) => void;
}) {
  const { t } = useTranslation("prices");
  const [all, setAll] = useState(() => kinds.some((kind) => !usual.includes(kind) && rates[kind] !== ""));
  return (
    <>
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-3">
        {(all ? kinds : usual).map((kind) => (
          <Field key={kind} label={t(`kind.${kind}`)} error={errorOf(kind)}>
            <Input
              inputMode="decimal"
              lead="$"
              // What has no price anywhere costs as the tier's own input or output.
              placeholder={
                kind === "input" || kind === "output" || base[kind].trim() !== ""
                  ? t("kind.without")
                  : t(kind.endsWith("output") ? "kind.asOutput" : "kind.asInput")
              }
              value={rates[kind]}
              onChange={(event) => onChange({ ...rates, [kind]: event.target.value })}
            />
          </Field>
        ))}
      </div>
      {!all && (
        <Button size="small" look="quiet" className="mt-2" onClick={() => setAll(true)}>
          {t("kind.all")}
        </Button>
      )}
    </>
  );
}
