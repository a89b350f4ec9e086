import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus, Search } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Input } from "@/ui/input";
import { Page } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { UserPanel } from "./panel";
import { usersQuery } from "./queries";

type User = Schemas["User"];
const route = getRouteApi("/app/admin/users");

/** Everybody who has an account. */
export function UsersScreen() {
  const { t } = useTranslation("users");
  const { t: common } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const format = useFormat();
  const users = useQuery(usersQuery(search));
  const [creating, setCreating] = useState(false);
  const [text, setText] = useState(search.q ?? "");
  useEffect(() => setText(search.q ?? ""), [search.q]);
  useEffect(() => {
    if (text === (search.q ?? "")) return;
    const timer = setTimeout(
      () => void navigate({ search: (now) => ({ ...now, page: undefined, q: text || undefined }), replace: true }),
      250,
    );
    return () => clearTimeout(timer);
  }, [text, search.q, navigate]);
  const columns = useMemo<Column<User>[]>(
    () => [
      {
        id: "name",
        header: t("column.user"),
        yields: true,
        cell: (user) => (
          <div className="sm:max-w-64 sm:min-w-24">
            <Link
              to="/users/$id"
              params={{ id: String(user.id) }}
              className="block truncate rounded font-medium hover:underline"
            >
              {user.username}
            </Link>
            <span className="block truncate text-xs text-faint">{user.display_name || user.email}</span>
          </div>
        ),
      },
      {
        id: "status",
        header: t("column.status"),
        from: "sm",
        cell: (user) => (
          <span className="flex gap-1">
            <Badge tone={user.status === 1 ? "good" : "plain"}>{t(`status.${user.status}`)}</Badge>
            {user.must_change_password && <Badge tone="warn">{t("mustChange")}</Badge>}
          </span>
        ),
      },
      {
        id: "role",
        header: t("column.role"),
        from: "md",
        cell: (user) =>
          user.role === "user" ? (
            <span className="text-soft">{common("role.user")}</span>
          ) : (
            <Badge tone="accent">{common(`role.${user.role}`)}</Badge>
          ),
      },
      { id: "group", header: t("column.group"), from: "lg", cell: (user) => user.group },
      {
        id: "quota",
        header: t("column.balance"),
        align: "right",
        cell: (user) =>
          user.unlimited_quota ? <span className="text-soft">{t("unlimited")}</span> : format.units(user.quota),
      },
      {
        id: "used",
        header: t("column.used"),
        align: "right",
        from: "sm",
        cell: (user) => format.units(user.used_quota),
      },
      {
        id: "requests",
        header: t("column.requests"),
        align: "right",
        from: "md",
        cell: (user) => format.compact(user.request_count),
      },
      { id: "created", header: t("column.created"), from: "xl", cell: (user) => format.date(user.created_time) },
    ],
    [t, common, format],
  );
  return (
    <Page
      title={t("title")}
      actions={
        <Button look="primary" icon={<Plus aria-hidden className="size-3.5" />} onClick={() => setCreating(true)}>
          {t("new.action")}
        </Button>
      }
    >
      <div className="mb-3 sm:w-72">
        <Input
          type="search"
          aria-label={t("filter.search")}
          placeholder={t("filter.search")}
          value={text}
          onChange={(event) => setText(event.target.value)}
          lead={<Search className="size-3.5" />}
        />
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={users.data?.items}
          rowId={(user) => String(user.id)}
          error={users.error}
          retry={() => void users.refetch()}
          stale={users.isPlaceholderData}
          onRow={(user) => void navigate({ to: "/users/$id", params: { id: String(user.id) } })}
          page={{ page: search.page ?? 1, pageSize: search.size ?? 20, total: users.data?.total ?? 0 }}
          onPage={(page, size, replace) => void navigate({ search: (now) => ({ ...now, page, size }), replace })}
          empty={
            <Empty
              title={t("empty.title")}
              action={<Button onClick={() => void navigate({ search: {} })}>{t("empty.reset")}</Button>}
            >
              {t("empty.help")}
            </Empty>
          }
        />
      </div>
      <UserPanel open={creating} onClose={() => setCreating(false)} />
    </Page>
  );
}
