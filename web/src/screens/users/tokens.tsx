import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { tokensQuery, usersKey } from "./queries";

type Token = Schemas["AccessToken"];

/** A user's personal access tokens, to be ended when one has got out. */
export function Tokens({ user }: { user: Schemas["User"] }) {
  const { t } = useTranslation("users");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const tokens = useQuery(tokensQuery(user.id));
  const [ending, setEnding] = useState<Token>();
  const remove = useMutation({
    mutationFn: (token: Token) =>
      data(api.DELETE("/api/user/{id}/token/{token}", { params: { path: { id: user.id, token: token.id } } })),
    onSuccess: (_, token) => {
      toast(t("tokens.deleted", { name: token.name }));
      setEnding(undefined);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: [...usersKey, "tokens"] }),
  });
  const columns = useMemo<Column<Token>[]>(
    () => [
      {
        id: "name",
        header: t("tokens.name"),
        cell: (token) => (
          <div className="max-w-56 min-w-28">
            <span className="block truncate" title={token.name}>
              {token.name}
            </span>
            <span className="block truncate text-xs text-faint">
              <code className="font-mono">hpat_…{token.last4}</code> · {t(`tokens.scope.${token.scope}`)}
            </span>
          </div>
        ),
      },
      {
        id: "used",
        header: t("sessions.seen"),
        from: "sm",
        cell: (token) =>
          token.accessed_time > token.created_time ? (
            <span title={format.exact(token.accessed_time)}>{format.ago(token.accessed_time)}</span>
          ) : (
            <span className="text-faint">{t("tokens.unused")}</span>
          ),
      },
      {
        id: "delete",
        header: <span className="sr-only">{common("action.delete")}</span>,
        align: "right",
        cell: (token) => (
          <Button
            size="small"
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
    <Card title={t("tokens.title")} flush>
      <Table
        label={t("tokens.title")}
        columns={columns}
        rows={tokens.data?.items}
        rowId={(token) => String(token.id)}
        error={tokens.error}
        retry={() => void tokens.refetch()}
        empty={<Empty title={t("tokens.none")}>{t("tokens.noneHelp")}</Empty>}
      />
      <Confirm
        open={ending !== undefined}
        onOpenChange={(open) => {
          if (!open) {
            setEnding(undefined);
            remove.reset();
          }
        }}
        title={t("tokens.deleteOne", { name: ending?.name ?? "" })}
        action={common("action.delete")}
        danger
        onConfirm={() => ending && remove.mutate(ending)}
        busy={remove.isPending}
        error={remove.error}
      >
        <p>{t("tokens.deleteHelp")}</p>
      </Confirm>
    </Card>
  );
}
