import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { keysKey } from "./queries";
import { masked } from "./status";

interface Props {
  of: Schemas["Key"];
  mayChange: boolean;
  rows: Schemas["KeyValue"][] | undefined;
  error: unknown;
  retry: () => void;
}

/** The values that a key has had, with their last use; older ones can be ended early. */
export function Values({ of: key, mayChange, rows, error, retry }: Props) {
  const { t } = useTranslation("keys");
  const format = useFormat();
  const queries = useQueryClient();
  const [ending, setEnding] = useState<Schemas["KeyValue"]>();
  const end = useMutation({
    mutationFn: (value: Schemas["KeyValue"]) =>
      data(
        api.DELETE("/api/token/{id}/values/{value_id}", {
          params: { path: { id: key.id, value_id: String(value.id) }, query: { user_id: key.user_id } },
        }),
      ),
    onSuccess: () => {
      toast(t("values.ended"));
      setEnding(undefined);
      void queries.invalidateQueries({ queryKey: keysKey });
    },
  });
  const columns = useMemo<Column<Schemas["KeyValue"]>[]>(
    () => [
      {
        id: "value",
        header: t("column.key"),
        cell: (value) => <code className="font-mono text-xs whitespace-nowrap">{masked(value.key)}</code>,
      },
      {
        id: "state",
        header: t("column.status"),
        cell: (value) => {
          if (value.ends_at <= 0) return <Badge tone="good">{t("values.current")}</Badge>;
          if (value.ends_at * 1000 <= Date.now()) return <Badge>{t("values.over")}</Badge>;
          return <Badge tone="warn">{t("values.grace", { when: format.ago(value.ends_at) })}</Badge>;
        },
      },
      { id: "created", header: t("column.created"), from: "sm", cell: (value) => format.dateTime(value.created_time) },
      {
        id: "used",
        header: t("column.lastUsed"),
        from: "md",
        cell: (value) =>
          value.last_used ? (
            <span title={format.exact(value.last_used)}>{format.ago(value.last_used)}</span>
          ) : (
            <span className="text-faint">{t("never")}</span>
          ),
      },
      {
        id: "end",
        header: <span className="sr-only">{t("values.actions")}</span>,
        align: "right",
        cell: (value) =>
          mayChange &&
          value.ends_at * 1000 > Date.now() && (
            <Button size="small" onClick={() => setEnding(value)}>
              {t("values.end")}
            </Button>
          ),
      },
    ],
    [t, format, mayChange],
  );
  return (
    <>
      <Table
        label={t("values.title")}
        columns={columns}
        rows={rows}
        rowId={(value) => String(value.id)}
        error={error}
        retry={retry}
        empty={<Empty title={t("values.none")} />}
      />
      <Confirm
        open={ending !== undefined}
        onOpenChange={() => setEnding(undefined)}
        title={t("values.endTitle")}
        action={t("values.end")}
        danger
        busy={end.isPending}
        error={end.error}
        onConfirm={() => ending && end.mutate(ending)}
      >
        <p>{t("values.endHelp")}</p>
      </Confirm>
    </>
  );
}
