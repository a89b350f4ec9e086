import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { Card, Facts, Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { PageLoading } from "@/ui/states";
import { masked } from "./list";
import { keyQuery } from "./queries";
import { KeyStatus } from "./status";

const route = getRouteApi("/app/keys/$id");

/** One key. */
export function KeyScreen() {
  const { t } = useTranslation("keys");
  const { id } = route.useParams();
  const format = useFormat();
  const { data: key, error, refetch } = useQuery(keyQuery(Number(id)));
  if (error) return <Problem error={error} retry={() => void refetch()} large />;
  if (!key) return <PageLoading />;
  return (
    <Page
      title={key.name}
      above={
        <Link to="/keys" className="hover:underline">
          {t("title")}
        </Link>
      }
    >
      <Card>
        <Facts
          items={[
            { label: t("column.status"), value: <KeyStatus status={key.status} /> },
            { label: t("column.key"), value: <code className="font-mono">{masked(key.key)}</code> },
            {
              label: t("column.remaining"),
              value: key.unlimited_quota ? t("unlimited") : format.units(key.remain_quota),
            },
            { label: t("column.used"), value: format.units(key.used_quota) },
            { label: t("column.created"), value: format.dateTime(key.created_time) },
            {
              label: t("column.expires"),
              value: key.expired_time < 0 ? t("never") : format.dateTime(key.expired_time),
            },
          ]}
        />
      </Card>
    </Page>
  );
}
