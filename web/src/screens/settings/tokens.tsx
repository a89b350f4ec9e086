import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Code } from "@/ui/code";
import { CopyButton } from "@/ui/copy";
import { Confirm, Dialog, SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Form } from "@/ui/form";
import { Input, Segments } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { expiresAt, type Preset, presets, today } from "./expiry";
import { tokensKey, tokensQuery } from "./queries";

type Token = Schemas["AccessToken"];
type Made = Schemas["AccessTokenOnce"];

/** One's own personal access tokens. */
export function TokensScreen() {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const tokens = useQuery(tokensQuery);
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<Made>();
  const [ending, setEnding] = useState<Token>();
  const remove = useMutation({
    mutationFn: (token: Token) => data(api.DELETE("/api/user/token/{id}", { params: { path: { id: token.id } } })),
    onSuccess: (_, token) => {
      toast(t("tokens.deleted", { name: token.name }));
      setEnding(undefined);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: tokensKey }),
  });
  const create = (
    <Button look="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setCreating(true)}>
      {t("tokens.create")}
    </Button>
  );
  const columns = useMemo<Column<Token>[]>(
    () => [
      {
        id: "name",
        header: t("tokens.name"),
        yields: true,
        cell: (token) => (
          <div className="sm:max-w-64 sm:min-w-28">
            <span className="block truncate font-medium">{token.name}</span>
            <code className="block truncate font-mono text-xs text-faint">hpat_…{token.last4}</code>
          </div>
        ),
      },
      {
        id: "scope",
        header: t("tokens.scope"),
        cell: (token) => (
          <Badge tone={token.scope === "full" ? "accent" : "plain"}>{t(`tokens.scopeShort.${token.scope}`)}</Badge>
        ),
      },
      { id: "created", header: t("tokens.created"), from: "md", cell: (token) => format.date(token.created_time) },
      {
        id: "used",
        header: t("tokens.used"),
        from: "sm",
        cell: (token) =>
          token.accessed_time > token.created_time ? (
            <span title={format.exact(token.accessed_time)}>{format.ago(token.accessed_time)}</span>
          ) : (
            <span className="text-faint">{t("tokens.unused")}</span>
          ),
      },
      {
        id: "expires",
        header: t("tokens.expires"),
        className: "whitespace-nowrap",
        cell: (token) => {
          if (token.expires_at < 0) return <span className="text-faint">{t("tokens.never")}</span>;
          return token.expires_at * 1000 < Date.now() ? (
            <Badge tone="bad">{t("tokens.expired")}</Badge>
          ) : (
            <span title={format.exact(token.expires_at)}>{format.date(token.expires_at)}</span>
          );
        },
      },
      {
        id: "actions",
        header: <span className="sr-only">{t("tokens.actions")}</span>,
        align: "right",
        cell: (token) => (
          <Button
            size="small"
            className="max-sm:h-9"
            aria-label={t("tokens.deleteOne", { name: token.name })}
            onClick={() => setEnding(token)}
          >
            {common("action.delete")}
          </Button>
        ),
      },
    ],
    [t, common, format],
  );
  return (
    <>
      <div className="mb-4 flex flex-wrap items-start justify-between gap-3">
        <p className="max-w-prose text-sm text-soft">{t("tokens.help")}</p>
        {tokens.data && tokens.data.items.length > 0 && create}
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("nav.tokens")}
          columns={columns}
          rows={tokens.data?.items}
          rowId={(token) => String(token.id)}
          error={tokens.error}
          retry={() => void tokens.refetch()}
          empty={
            <Empty title={t("tokens.none")} action={create}>
              {t("tokens.noneHelp")}
            </Empty>
          }
        />
      </div>
      <CreateToken
        open={creating}
        onClose={() => setCreating(false)}
        onMade={(token) => {
          setCreating(false);
          setMade(token);
          void queries.invalidateQueries({ queryKey: tokensKey });
        }}
      />
      {made && <TokenMade token={made} onDone={() => setMade(undefined)} />}
      <Confirm
        open={ending !== undefined}
        onOpenChange={(open) => {
          if (!open) {
            setEnding(undefined);
            remove.reset();
          }
        }}
        title={t("tokens.deleteTitle")}
        action={common("action.delete")}
        danger
        onConfirm={() => ending && remove.mutate(ending)}
        busy={remove.isPending}
        error={remove.error}
      >
        <p>{t("tokens.deleteHelp", { name: ending?.name ?? "" })}</p>
      </Confirm>
    </>
  );
}

function CreateToken({ open, onClose, onMade }: { open: boolean; onClose: () => void; onMade: (token: Made) => void }) {
  const { t } = useTranslation("settings");
  return (
    <SidePanel
      open={open}
      onOpenChange={(to) => !to && onClose()}
      title={t("tokens.new")}
      description={t("tokens.newHelp")}
    >
      <CreateForm onClose={onClose} onMade={onMade} />
    </SidePanel>
  );
}

function CreateForm({ onClose, onMade }: { onClose: () => void; onMade: (token: Made) => void }) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const format = useFormat();
  const radio = useId();
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Token["scope"]>("read");
  const [preset, setPreset] = useState<Preset>("90");
  const [date, setDate] = useState("");
  const now = () => Math.floor(Date.now() / 1000);
  const ends = expiresAt(preset, date, now(), format.zone);
  const create = useMutation({
    mutationFn: (expires_at: number) =>
      data(api.POST("/api/user/token", { body: { name: name.trim(), scope, expires_at } })),
    onSuccess: onMade,
  });
  return (
    <Form
      error={create.error}
      className="flex flex-col gap-5"
      onSubmit={(event) => {
        event.preventDefault();
        const at = expiresAt(preset, date, now(), format.zone);
        if (at !== undefined && !create.isPending) create.mutate(at);
      }}
    >
      <Field label={t("tokens.name")} help={t("tokens.nameHelp")} error={errorOf(create.error, "name")} required>
        <Input value={name} onChange={(event) => setName(event.target.value)} maxLength={50} autoFocus required />
      </Field>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-1.5 text-sm font-medium">{t("tokens.scope")}</legend>
        {(["read", "full"] as const).map((one) => (
          <label
            key={one}
            className="flex cursor-pointer items-start gap-2.5 rounded-md border px-3 py-2.5 text-sm has-checked:border-accent has-checked:bg-accent-soft"
          >
            <input
              type="radio"
              name={radio}
              checked={scope === one}
              onChange={() => setScope(one)}
              className="mt-0.5 size-4 shrink-0 accent-accent-fill"
            />
            <span>
              <span className="font-medium">{t(`tokens.scopeLong.${one}`)}</span>
              <span className="block text-xs text-soft">{t(`tokens.scopeHelp.${one}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field
        label={t("tokens.expires")}
        help={
          ends === undefined
            ? undefined
            : ends < 0
              ? t("tokens.neverHelp")
              : t("tokens.until", { date: format.dateTime(ends) })
        }
        error={errorOf(create.error, "expires_at")}
        group
      >
        <Segments
          label={t("tokens.expires")}
          value={preset}
          onChange={setPreset}
          options={presets.map((value) => ({
            value,
            label:
              value === "never"
                ? t("tokens.never")
                : value === "date"
                  ? t("tokens.date")
                  : t("tokens.days", { count: Number(value) }),
          }))}
        />
        {preset === "date" && (
          <Input
            type="date"
            aria-label={t("tokens.date")}
            min={today(now(), format.zone)}
            value={date}
            onChange={(event) => setDate(event.target.value)}
            className="max-w-48"
            required
          />
        )}
      </Field>
      <Problem error={create.error} />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{common("action.cancel")}</Button>
        <Button type="submit" look="primary" busy={create.isPending}>
          {t("tokens.create")}
        </Button>
      </div>
    </Form>
  );
}

/** The value of a new token, which is shown this once. */
function TokenMade({ token, onDone }: { token: Made; onDone: () => void }) {
  const { t } = useTranslation("settings");
  return (
    <Dialog
      open
      holds
      onOpenChange={() => {}}
      title={t("tokens.madeTitle")}
      description={t("tokens.madeHelp")}
      footer={
        <Button look="primary" onClick={onDone}>
          {t("codes.done")}
        </Button>
      }
    >
      <div className="flex items-center gap-2 rounded-md border bg-sunken py-1.5 pr-1.5 pl-3">
        <code data-testid="token-value" className="min-w-0 flex-1 font-mono text-sm break-all">
          {token.token}
        </code>
        <CopyButton value={token.token} label={t("tokens.copy")} />
      </div>
      <p className="mt-4 mb-1.5 text-sm text-soft">{t("tokens.try")}</p>
      <Code
        label="curl"
        text={`curl ${window.location.origin}/api/user/self \\\n  -H 'Authorization: ${token.token}'`}
      />
    </Dialog>
  );
}
