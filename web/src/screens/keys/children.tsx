import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Card } from "@/ui/page";
import { type Column, Table } from "@/ui/table";
import { keysQuery } from "./queries";
import { KeyStatus, masked } from "./status";

const route = getRouteApi("/app/keys/$id");
type Key = Schemas["Key"];
const size = 10;

interface Props {
  of: Key;
  /** Whose key it is, when not the viewer's. */
  user: number | undefined;
  /** Undefined when the viewer may not. */
  onIssue: (() => void) | undefined;
}

/** The keys that a key has issued. */
export function Children({ of: key, user, onIssue }: Props) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const { children: page = 1 } = route.useSearch();
  const navigate = route.useNavigate();
  const children = useQuery({
    ...keysQuery({ parent: key.id, user, page, size }),
    refetchInterval: 15_000,
  });
  const columns = useMemo<Column<Key>[]>(
    () => [
      {
        id: "name",
        header: t("column.name"),
        yields: true,
        cell: (child) => (
          <div className="sm:max-w-56 sm:min-w-28">
            <Link
              to="/keys/$id"
              params={{ id: String(child.id) }}
              search={user === undefined ? {} : { user }}
              className="block truncate rounded font-medium hover:underline"
            >
              {child.name}
            </Link>
            <code className="block truncate font-mono text-xs text-faint">{masked(child.key)}</code>
          </div>
        ),
      },
      { id: "status", header: t("column.status"), cell: (child) => <KeyStatus status={child.status} /> },
      {
        id: "used",
        header: t("column.used"),
        align: "right",
        cell: (child) => format.units(child.used_quota),
      },
      {
        id: "remaining",
        header: t("column.remaining"),
        align: "right",
        from: "sm",
        cell: (child) =>
          child.unlimited_quota ? (
            <span className="text-soft">{t("unlimited")}</span>
          ) : (
            format.units(child.remain_quota)
          ),
      },
      {
        id: "expires",
        header: t("column.expires"),
        from: "md",
        cell: (child) =>
          child.expired_time < 0 ? (
            <span className="text-faint">{t("form.expiry.never")}</span>
          ) : (
            <span title={format.exact(child.expired_time)}>{format.date(child.expired_time)}</span>
          ),
      },
    ],
    [t, format, user],
  );
  const total = children.data?.total ?? 0;
  const stopped = key.status === 2 || key.status === 3 ? key.status : undefined;
  return (
    <Card
      title={t("children.title")}
      flush
      actions={
        onIssue && (
          <Button
            size="small"
            icon={<Plus aria-hidden className="size-3.5" />}
            disabled={stopped !== undefined}
            onClick={onIssue}
          >
            {t("children.issue")}
          </Button>
        )
      }
    >
      {children.data && total === 0 ? (
        <p className="px-4 py-3 text-sm text-soft">{stopped ? t(`children.stopped.${stopped}`) : t("children.none")}</p>
      ) : (
        <>
          {stopped && <p className="border-b px-4 py-2.5 text-sm text-soft">{t(`children.stopped.${stopped}`)}</p>}
          <Table
            label={t("children.title")}
            columns={columns}
            rows={children.data?.items}
            rowId={(child) => String(child.id)}
            error={children.error}
            retry={() => void children.refetch()}
            stale={children.isPlaceholderData}
            empty={null}
            {...(total > size || page > 1
              ? {
                  page: { page, pageSize: size, total },
                  onPage: (to: number, _: number, replace: boolean) =>
                    void navigate({
                      replace,
                      search: (now) => ({ ...now, children: to > 1 ? to : undefined }),
                      resetScroll: false,
                    }),
                }
              : {})}
          />
          {total > 0 && (
            <p className="border-t px-4 py-2 text-sm">
              <Link
                to="/keys"
                search={{ parent: key.id, ...(user === undefined ? {} : { user }) }}
                className="rounded text-accent hover:underline"
              >
                {t("children.all")}
              </Link>
            </p>
          )}
        </>
      )}
    </Card>
  );
}
