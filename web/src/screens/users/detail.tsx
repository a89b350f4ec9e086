import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Ellipsis, Pencil, Power, ShieldOff, Trash2, Wallet } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { parseUsd } from "@/format/money";
import { keysQuery } from "@/screens/keys/queries";
import { KeyStatus } from "@/screens/keys/status";
import { rates } from "@/screens/limits/limits";
import { usePeriodWords } from "@/screens/limits/period-words";
import { Badge } from "@/ui/badge";
import { Button, IconButton } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Input, Segments } from "@/ui/input";
import { Menu, MenuItem, MenuSeparator } from "@/ui/menu";
import { Card, Facts, Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Meter, Stat } from "@/ui/stat";
import { Empty, PageLoading } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { useSessionWords } from "../settings/session-words";
import { UserPanel } from "./panel";
import { factorsQuery, sessionsQuery, userQuery, usersKey } from "./queries";
import { Tokens } from "./tokens";

const route = getRouteApi("/app/admin/users/$id");
type User = Schemas["User"];
type Session = Schemas["Session"];

/** One user: balance, limits, keys, second factors, sessions, access tokens. */
export function UserScreen() {
  const { t } = useTranslation("users");
  const { t: common } = useTranslation();
  const { t: limitText } = useTranslation("limits");
  const periodWords = usePeriodWords();
  const id = Number(route.useParams().id);
  const navigate = route.useNavigate();
  const queries = useQueryClient();
  const format = useFormat();
  const { data: self } = useQuery(selfQuery);
  const { data: user, error, refetch } = useQuery(userQuery(id));
  const [open, setOpen] = useState<"edit" | "quota" | "delete">();
  const changed = () => queries.invalidateQueries({ queryKey: usersKey });
  const status = useMutation({
    mutationFn: (to: 1 | 2) => data(api.PATCH("/api/user/{id}", { params: { path: { id } }, body: { status: to } })),
    onSuccess: async (saved) => {
      await changed();
      toast(t(saved.status === 1 ? "done.enabled" : "done.disabled", { name: saved.username }), {
        label: common("action.undo"),
        run: () => status.mutate(saved.status === 1 ? 2 : 1),
      });
    },
    onError: toastProblem,
  });
  const remove = useMutation({
    mutationFn: () => data(api.DELETE("/api/user/{id}", { params: { path: { id } } })),
    onSuccess: async () => {
      await navigate({ to: "/users" });
      await changed();
      toast(t("done.deleted", { name: user?.username ?? "" }));
    },
  });
  if (error && !user) {
    return (
      <Page
        title={t("title")}
        heading={
          <Link to="/users" className="rounded hover:underline">
            {t("title")}
          </Link>
        }
      >
        <Problem error={error} retry={() => void refetch()} large />
      </Page>
    );
  }
  if (!user) return <PageLoading />;
  const own = self?.id === user.id;
  const set = rates.filter((rate) => user.limits[rate] !== null);
  return (
    <Page
      title={user.username}
      above={
        <Link to="/users" className="hover:underline">
          {t("title")}
        </Link>
      }
      heading={
        <span className="flex flex-wrap items-center gap-2">
          {user.username}
          <Badge tone={user.status === 1 ? "good" : "plain"}>{t(`status.${user.status}`)}</Badge>
          {user.role !== "user" && <Badge tone="accent">{common(`role.${user.role}`)}</Badge>}
          {user.must_change_password && <Badge tone="warn">{t("mustChange")}</Badge>}
        </span>
      }
      actions={
        <>
          <Button icon={<Wallet aria-hidden className="size-3.5 text-soft" />} onClick={() => setOpen("quota")}>
            {t("quota.action")}
          </Button>
          <Button icon={<Pencil aria-hidden className="size-3.5 text-soft" />} onClick={() => setOpen("edit")}>
            {common("action.edit")}
          </Button>
          <Menu
            trigger={
              <IconButton label={t("actions", { name: user.username })}>
                <Ellipsis aria-hidden className="size-4" />
              </IconButton>
            }
          >
            <MenuItem
              disabled={own}
              icon={<Power aria-hidden className="size-3.5" />}
              onSelect={() => status.mutate(user.status === 1 ? 2 : 1)}
            >
              {user.status === 1 ? common("action.disable") : common("action.enable")}
            </MenuItem>
            <MenuSeparator />
            <MenuItem
              danger
              disabled={own}
              icon={<Trash2 aria-hidden className="size-3.5" />}
              onSelect={() => setOpen("delete")}
            >
              {common("action.delete")}
            </MenuItem>
          </Menu>
        </>
      }
    >
      <div className="mb-4 grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat label={t("column.balance")} value={user.unlimited_quota ? t("unlimited") : format.units(user.quota)} />
        <Stat label={t("column.used")} value={format.units(user.used_quota)} />
        <Stat label={t("column.requests")} value={format.number(user.request_count)} />
        <Stat label={t("column.group")} value={user.group} />
      </div>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Card title={t("profile")}>
          <Facts
            items={[
              { label: t("field.displayName"), value: user.display_name || "—" },
              { label: t("field.email"), value: user.email || "—" },
              { label: t("field.role"), value: common(`role.${user.role}`) },
              { label: t("field.zone"), value: user.time_zone || "UTC" },
              { label: t("column.created"), value: format.dateTime(user.created_time) },
              { label: t("field.id"), value: String(user.id) },
            ]}
          />
        </Card>
        <Card title={t("field.limits")}>
          {set.length === 0 && !user.limits.budgets && !user.limits.per_model ? (
            <p className="text-sm text-soft">{t("noLimits")}</p>
          ) : (
            <div className="flex flex-col gap-4">
              {user.limits.budgets?.map((budget) => (
                <div key={`${budget.period} ${budget.amount}`} className="text-sm">
                  <p className="mb-1 flex flex-wrap justify-between gap-x-3">
                    <span>
                      {format.units(budget.used)} / {format.units(budget.amount)} · {periodWords(budget.period)}
                    </span>
                    <span className="text-xs text-soft">{t("renews", { when: format.ago(budget.renews_at) })}</span>
                  </p>
                  <Meter value={budget.used} max={budget.amount} label={periodWords(budget.period)} />
                </div>
              ))}
              <Facts
                items={[
                  ...set.map((rate) => ({ label: limitText(rate), value: format.number(user.limits[rate] ?? 0) })),
                  ...Object.entries(user.limits.per_model ?? {}).map(([model, rate]) => ({
                    label: <code className="font-mono text-xs">{model}</code>,
                    value: [
                      rate.rpm !== null && `${format.number(rate.rpm)} ${limitText("rpmShort")}`,
                      rate.tpm !== null && `${format.number(rate.tpm)} ${limitText("tpmShort")}`,
                    ]
                      .filter(Boolean)
                      .join(" · "),
                  })),
                ]}
              />
            </div>
          )}
        </Card>
        <Keys user={user} />
        <Factors user={user} own={own} />
        <Sessions user={user} />
        <Tokens user={user} />
      </div>
      <UserPanel open={open === "edit"} onClose={() => setOpen(undefined)} user={user} />
      {open === "quota" && <QuotaDialog user={user} onClose={() => setOpen(undefined)} />}
      <Confirm
        open={open === "delete"}
        onOpenChange={(to) => !to && setOpen(undefined)}
        danger
        title={t("delete.title", { name: user.username })}
        action={common("action.delete")}
        typed={user.username}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate()}
      >
        <p>{t("delete.help")}</p>
      </Confirm>
    </Page>
  );
}

function QuotaDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const { t } = useTranslation("users");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const [how, setHow] = useState<"add" | "set">("add");
  const [usd, setUsd] = useState("");
  const units = parseUsd(usd);
  const save = useMutation({
    mutationFn: (amount: number) =>
      data(
        api.POST("/api/user/{id}/quota", {
          params: { path: { id: user.id } },
          body: how === "add" ? { add: amount } : { set: amount },
        }),
      ),
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: usersKey });
      toast(t("quota.done", { name: saved.username, balance: format.units(saved.quota) }));
      onClose();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("quota.title", { name: user.username })}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form="quota" look="primary" busy={save.isPending} disabled={units === undefined}>
            {common("action.save")}
          </Button>
        </>
      }
    >
      <form
        id="quota"
        className="flex flex-col gap-4"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (units !== undefined && !save.isPending) save.mutate(units);
        }}
      >
        <Segments<"add" | "set">
          label={t("quota.how")}
          value={how}
          onChange={setHow}
          options={(["add", "set"] as const).map((value) => ({ value, label: t(`quota.${value}`) }))}
        />
        <Field
          label={t("quota.amount")}
          help={
            user.unlimited_quota
              ? t("quota.unlimited")
              : units === undefined
                ? t("quota.now", { balance: format.units(user.quota) })
                : t("quota.after", { balance: format.units(how === "add" ? user.quota + units : units) })
          }
          error={usd.trim() !== "" && units === undefined ? t("field.amountWrong") : undefined}
        >
          <Input inputMode="decimal" lead="$" value={usd} autoFocus onChange={(event) => setUsd(event.target.value)} />
        </Field>
        <Problem error={save.error} />
      </form>
    </Dialog>
  );
}

/** The user's keys that were used last, and the way to all of them. */
function Keys({ user }: { user: User }) {
  const { t } = useTranslation("users");
  const { t: keyText } = useTranslation("keys");
  const format = useFormat();
  const keys = useQuery(keysQuery({ user: user.id, sort: "-last_used", size: 5 }));
  const columns = useMemo<Column<Schemas["Key"]>[]>(
    () => [
      {
        id: "name",
        header: keyText("column.name"),
        yields: true,
        cell: (key) => (
          <div className="sm:max-w-56 sm:min-w-28">
            <Link
              to="/keys/$id"
              params={{ id: String(key.id) }}
              search={{ user: user.id }}
              className="block truncate rounded font-medium hover:underline"
            >
              {key.name}
            </Link>
          </div>
        ),
      },
      { id: "status", header: keyText("column.status"), cell: (key) => <KeyStatus status={key.status} /> },
      {
        id: "used",
        header: keyText("column.used"),
        align: "right",
        cell: (key) => format.units(key.used_quota),
      },
    ],
    [keyText, format, user.id],
  );
  return (
    <Card
      title={keyText("title")}
      flush
      actions={
        <Link to="/keys" search={{ user: user.id }} className="rounded text-sm text-accent hover:underline">
          {t("keys.all", { count: keys.data?.total ?? 0 })}
        </Link>
      }
    >
      <Table
        label={keyText("title")}
        columns={columns}
        rows={keys.data?.items}
        rowId={(key) => String(key.id)}
        error={keys.error}
        retry={() => void keys.refetch()}
        empty={<p className="px-4 py-3 text-sm text-soft">{t("keys.none")}</p>}
      />
    </Card>
  );
}

function Factors({ user, own }: { user: User; own: boolean }) {
  const { t } = useTranslation("users");
  const queries = useQueryClient();
  const factors = useQuery(factorsQuery(user.id));
  const [asking, setAsking] = useState(false);
  const reset = useMutation({
    mutationFn: () => data(api.POST("/api/user/{id}/reset_second_factors", { params: { path: { id: user.id } } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: usersKey });
      toast(t("factors.done", { name: user.username }));
      setAsking(false);
    },
  });
  const has = factors.data;
  const some = has ? has.totp || has.passkeys > 0 : false;
  return (
    <Card
      title={t("factors.title")}
      actions={
        some && !own ? (
          <Button size="small" icon={<ShieldOff aria-hidden className="size-3.5" />} onClick={() => setAsking(true)}>
            {t("factors.reset")}
          </Button>
        ) : undefined
      }
    >
      <Problem error={factors.error} retry={() => void factors.refetch()} />
      {has && (
        <Facts
          items={[
            {
              label: t("factors.totp"),
              value: has.totp ? <Badge tone="good">{t("factors.on")}</Badge> : t("factors.off"),
            },
            { label: t("factors.passkeys"), value: String(has.passkeys) },
            { label: t("factors.codes"), value: String(has.recovery_codes) },
          ]}
        />
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        danger
        title={t("factors.ask", { name: user.username })}
        action={t("factors.reset")}
        busy={reset.isPending}
        error={reset.error}
        onConfirm={() => reset.mutate()}
      >
        <p>{t("factors.help")}</p>
      </Confirm>
    </Card>
  );
}

function Sessions({ user }: { user: User }) {
  const { t } = useTranslation("users");
  const format = useFormat();
  const queries = useQueryClient();
  const sessions = useQuery(sessionsQuery(user.id));
  const changed = () => queries.invalidateQueries({ queryKey: [...usersKey, "sessions"] });
  const end = useMutation({
    mutationFn: (session: number) =>
      data(api.DELETE("/api/user/{id}/session/{session}", { params: { path: { id: user.id, session } } })),
    onSuccess: async () => {
      await changed();
      toast(t("sessions.ended"));
    },
    onError: toastProblem,
  });
  const endAll = useMutation({
    mutationFn: () => data(api.POST("/api/user/{id}/logout", { params: { path: { id: user.id } } })),
    onSuccess: async (count) => {
      await changed();
      toast(t("sessions.endedAll", { count: Number(count) }));
    },
    onError: toastProblem,
  });
  const words = useSessionWords();
  const columns = useMemo<Column<Session>[]>(
    () => [
      {
        id: "where",
        header: t("sessions.where"),
        yields: true,
        cell: (session) => {
          const { device, method } = words(session);
          return (
            <div className="sm:max-w-56 sm:min-w-28">
              <span className="block truncate" title={session.user_agent}>
                {device}
              </span>
              <span className="block truncate text-xs text-faint">
                {session.ip} · {method}
              </span>
            </div>
          );
        },
      },
      {
        id: "seen",
        header: t("sessions.seen"),
        from: "sm",
        cell: (session) =>
          session.current ? <Badge tone="accent">{t("sessions.current")}</Badge> : format.ago(session.seen_time),
      },
      {
        id: "end",
        header: <span className="sr-only">{t("sessions.end")}</span>,
        align: "right",
        cell: (session) => (
          <Button size="small" disabled={session.current} onClick={() => end.mutate(session.id)}>
            {t("sessions.end")}
          </Button>
        ),
      },
    ],
    [t, format, end, words],
  );
  return (
    <Card
      title={t("sessions.title")}
      flush
      actions={
        (sessions.data?.total ?? 0) > 1 ? (
          <Button size="small" busy={endAll.isPending} onClick={() => endAll.mutate()}>
            {t("sessions.endAll")}
          </Button>
        ) : undefined
      }
    >
      <Table
        label={t("sessions.title")}
        columns={columns}
        rows={sessions.data?.items}
        rowId={(session) => String(session.id)}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        empty={<Empty title={t("sessions.none")} />}
      />
    </Card>
  );
}
