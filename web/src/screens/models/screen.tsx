import { queryOptions, useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ownGroupsQuery, selfQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { SidePanel } from "@/ui/dialog";
import { Input, Select } from "@/ui/input";
import { Facts, Page } from "@/ui/page";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { find } from "./find";
import type { ModelsSearch } from "./search";

const route = getRouteApi("/app/models");
type Offer = Schemas["Offer"];
type Groups = Record<string, Schemas["OwnGroup"]>;

const catalogQuery = queryOptions({
  queryKey: ["models", "catalog"],
  queryFn: ({ signal }) => data(api.GET("/api/user/self/catalog", { signal })),
  staleTime: 60_000,
});

/** The models that the viewer may use, with prices, limits and groups. */
export function ModelsScreen() {
  const { t } = useTranslation("models");
  const { t: common } = useTranslation();
  const { data: self } = useSuspenseQuery(selfQuery);
  const format = useFormat();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (to: { [Name in keyof ModelsSearch]: ModelsSearch[Name] | undefined }) =>
    void navigate({ search: (now) => ({ ...now, ...to }) as ModelsSearch, replace: true });
  const catalog = useQuery(catalogQuery);
  const groups = useQuery(ownGroupsQuery);
  const rows = useMemo(() => catalog.data && find(catalog.data, search), [catalog.data, search]);
  const [open, setOpen] = useState<Offer>();
  const columns = useMemo<Column<Offer>[]>(() => {
    const tokens = (count: number | undefined) =>
      count ? format.tokens(count) : <span className="text-faint">—</span>;
    const price = (usd: number | undefined) =>
      usd === undefined ? <span className="text-faint">—</span> : format.usd(usd);
    return [
      {
        id: "model",
        header: t("column.model"),
        sortable: true,
        yields: true,
        cell: (offer) => (
          <>
            <button
              type="button"
              onClick={() => setOpen(offer)}
              className="block max-w-full truncate rounded text-left font-mono text-xs hover:underline"
            >
              {offer.model}
            </button>
            <span className="block truncate text-xs text-soft">
              {[offer.price?.vendor, offer.price?.mode].filter(Boolean).join(" · ")}
            </span>
          </>
        ),
      },
      {
        id: "context",
        header: t("column.context"),
        align: "right",
        from: "md",
        sortable: true,
        cell: (offer) => tokens(offer.price?.max_input_tokens),
      },
      {
        id: "most",
        header: t("column.output"),
        align: "right",
        from: "lg",
        cell: (offer) => tokens(offer.price?.max_output_tokens),
      },
      {
        id: "input",
        header: t("column.inputPrice"),
        align: "right",
        sortable: true,
        cell: (offer) => price(offer.price?.input),
      },
      {
        id: "output",
        header: t("column.outputPrice"),
        align: "right",
        sortable: true,
        cell: (offer) => price(offer.price?.output),
      },
      {
        id: "groups",
        header: t("column.groups"),
        from: "md",
        cell: (offer) => (
          <span className="flex flex-wrap gap-1">
            {offer.groups.map((name) => (
              <Badge key={name}>{name}</Badge>
            ))}
          </span>
        ),
      },
    ];
  }, [t, format]);
  const narrowed = Boolean(search.q || search.group);
  return (
    <Page title={t("title")} description={t("help")}>
      <div className="mb-3 grid gap-2 sm:flex sm:items-center">
        <div className="sm:w-72">
          <Input
            type="search"
            aria-label={t("filter.search")}
            placeholder={t("filter.search")}
            value={search.q ?? ""}
            onChange={(event) => change({ q: event.target.value || undefined })}
            lead={<Search className="size-3.5" />}
          />
        </div>
        <Select
          aria-label={t("column.groups")}
          className="sm:w-40"
          value={search.group ?? ""}
          onChange={(event) => change({ group: event.target.value || undefined })}
          options={[
            { value: "", label: t("filter.anyGroup") },
            ...Object.keys(groups.data ?? {}).map((name) => ({ value: name, label: name })),
          ]}
        />
        {rows && (
          <span className="text-sm text-soft">
            {t("count", { count: rows.length, models: format.number(rows.length) })}
          </span>
        )}
      </div>
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={rows}
          rowId={(offer) => offer.model}
          error={catalog.error}
          retry={() => void catalog.refetch()}
          sort={search.sort ?? "model"}
          onSort={(sort) => change({ sort: sort === "model" ? undefined : sort })}
          onRow={setOpen}
          empty={
            narrowed ? (
              <Empty
                title={t("empty.filtered")}
                action={<Button onClick={() => change({ q: undefined, group: undefined })}>{t("empty.reset")}</Button>}
              >
                {t("empty.filteredHelp")}
              </Empty>
            ) : (
              <Empty
                title={t("empty.title")}
                action={
                  self &&
                  self.role !== "user" && (
                    <Button asChild>
                      <Link to="/channels">{common("nav.channels")}</Link>
                    </Button>
                  )
                }
              >
                {t("empty.help")}
              </Empty>
            )
          }
        />
      </div>
      <ModelPanel offer={open} groups={groups.data ?? {}} onClose={() => setOpen(undefined)} />
    </Page>
  );
}

const kinds = [
  "input",
  "output",
  "cache_read",
  "cache_write_5m",
  "cache_write_1h",
  "reasoning_output",
  "audio_input",
  "audio_output",
  "image_input",
  "image_output",
] as const;

function ModelPanel({ offer, groups, onClose }: { offer: Offer | undefined; groups: Groups; onClose: () => void }) {
  const { t } = useTranslation("models");
  const format = useFormat();
  if (!offer) return null;
  const { price } = offer;
  const features = price?.features ?? [];
  return (
    <SidePanel
      open
      onOpenChange={(to) => !to && onClose()}
      title={
        <span className="flex items-center gap-1">
          <span className="min-w-0 font-mono text-base break-all">{offer.model}</span>
          <CopyButton value={offer.model} label={t("panel.copy")} />
        </span>
      }
      description={[price?.vendor, price?.mode].filter(Boolean).join(" · ") || undefined}
      footer={
        <Button asChild look="primary">
          <Link to="/playground" search={{ model: offer.model }}>
            {t("panel.try")}
          </Link>
        </Button>
      }
    >
      <div className="flex flex-col gap-6">
        <section>
          <h3 className="mb-2 border-b pb-1.5 text-sm font-medium">{t("panel.prices")}</h3>
          {price ? (
            <>
              <Facts
                items={[
                  ...kinds
                    .filter((kind) => price[kind] !== undefined)
                    .map((kind) => ({ label: t(`kind.${kind}`), value: format.usd(price[kind] ?? 0) })),
                  ...(price.per_request
                    ? [{ label: t("kind.per_request"), value: format.usd(price.per_request) }]
                    : []),
                ]}
              />
              <p className="mt-2 text-xs break-all text-soft">
                {t("panel.per")} {price.model !== offer.model && t("panel.asModel", { model: price.model })}{" "}
                <code className="font-mono">{price.version}</code>
              </p>
            </>
          ) : (
            <p className="text-sm text-soft">{t("panel.noPrice")}</p>
          )}
        </section>
        <section>
          <h3 className="mb-2 border-b pb-1.5 text-sm font-medium">{t("column.groups")}</h3>
          <ul className="flex flex-col gap-2 text-sm">
            {offer.groups.map((name) => {
              const ratio = Number(groups[name]?.ratio ?? 1);
              return (
                <li key={name} className="flex items-baseline justify-between gap-3">
                  <span className="min-w-0">
                    <span className="font-medium">{name}</span>{" "}
                    <span className="text-xs text-soft">{groups[name]?.desc}</span>
                  </span>
                  <span className="shrink-0 text-soft">
                    {price?.input !== undefined &&
                      t("panel.inGroup", {
                        ratio: format.number(ratio),
                        input: format.usd(price.input * ratio),
                        output: format.usd((price.output ?? 0) * ratio),
                      })}
                  </span>
                </li>
              );
            })}
          </ul>
        </section>
        <section>
          <h3 className="mb-2 border-b pb-1.5 text-sm font-medium">{t("panel.limits")}</h3>
          <Facts
            items={[
              {
                label: t("column.context"),
                value: price?.max_input_tokens ? format.number(price.max_input_tokens) : t("panel.unknown"),
              },
              {
                label: t("column.output"),
                value: price?.max_output_tokens ? format.number(price.max_output_tokens) : t("panel.unknown"),
              },
            ]}
          />
        </section>
        {features.length > 0 && (
          <section>
            <h3 className="mb-2 border-b pb-1.5 text-sm font-medium">{t("panel.features")}</h3>
            <p className="flex flex-wrap gap-1">
              {features.map((feature) => (
                <Badge key={feature}>{feature.replaceAll("_", " ")}</Badge>
              ))}
            </p>
          </section>
        )}
      </div>
    </SidePanel>
  );
}
