import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { groupsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { withoutGroups } from "@/format/money";
import { Button } from "@/ui/button";
import { TokenInput } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Checkbox, Input } from "@/ui/input";
import { Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Skeleton } from "@/ui/states";
import { toast } from "@/ui/toast";

type Option = Schemas["Option"];

/** What can be changed while Halley runs, each by itself. */
export function OptionsScreen() {
  const { t } = useTranslation("options");
  const options = useQuery({
    queryKey: ["options"],
    queryFn: async ({ signal }) =>
      (await data(api.GET("/api/option/", { signal, params: { query: { p: 1, page_size: 100 } } }))).items,
  });
  if (!options.data) {
    return (
      <Page title={t("title")} description={t("help")}>
        {options.error ? (
          <Problem error={options.error} retry={() => void options.refetch()} large />
        ) : (
          <Skeleton className="h-96 max-w-3xl" />
        )}
      </Page>
    );
  }
  return (
    <Page title={t("title")} description={t("help")}>
      <ul className="max-w-3xl divide-y rounded-lg border">
        {options.data.map((option) => (
          <li key={option.name} className="px-4 py-4">
            <OptionForm key={JSON.stringify(option.value)} option={option} />
          </li>
        ))}
      </ul>
    </Page>
  );
}

function OptionForm({ option }: { option: Option }) {
  const { t, i18n } = useTranslation("options");
  const { t: common } = useTranslation();
  const { number } = useFormat();
  const queries = useQueryClient();
  const groups = useQuery({ ...groupsQuery, enabled: option.type === "list" });
  const [value, setValue] = useState<unknown>(option.value);
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const save = useMutation({
    mutationFn: (to: unknown) =>
      data(api.PUT("/api/option/{name}", { params: { path: { name: option.name } }, body: { value: to } })),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["options"] });
      toast(t("done", { name: option.name }));
    },
  });
  const told = (shown: unknown) =>
    typeof shown === "boolean"
      ? t(shown ? "on" : "off")
      : Array.isArray(shown)
        ? shown.join(", ") || t("none")
        : typeof shown === "number"
          ? number(shown)
          : String(shown) || t("none");
  const typed = option.type === "integer" ? Number(withoutGroups(String(value)) || Number.NaN) : value;
  const wrong = option.type === "integer" && !Number.isSafeInteger(typed);
  return (
    <form
      className="flex flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong && !save.isPending) save.mutate(typed);
      }}
    >
      <Field
        label={<code className="font-mono">{option.name}</code>}
        aside={t("type", { type: t(`types.${option.type}`), value: told(option.default) })}
        help={
          i18n.exists(`options:explained.${option.name}`) ? t(`explained.${option.name as "affinity"}`) : option.help
        }
        error={wrong ? t("whole") : undefined}
        group={option.type === "boolean"}
      >
        {option.type === "boolean" ? (
          <Checkbox
            label={t(value ? "on" : "off")}
            checked={value === true}
            onChange={(event) => setValue(event.target.checked)}
          />
        ) : option.type === "list" ? (
          <TokenInput
            options={(groups.data ?? []).map((group) => group.name)}
            values={Array.isArray(value) ? value.map(String) : []}
            onChange={setValue}
          />
        ) : (
          <Input
            className="max-w-sm"
            inputMode={option.type === "integer" ? "numeric" : undefined}
            value={String(value)}
            onChange={(event) => setValue(event.target.value)}
            spellCheck={false}
          />
        )}
      </Field>
      <Problem error={save.error} />
      {(!same(typed, option.value) || !same(option.value, option.default)) && (
        <div className="flex gap-2">
          {!same(typed, option.value) && (
            <>
              <Button type="submit" size="small" look="primary" busy={save.isPending} disabled={wrong}>
                {common("action.save")}
              </Button>
              <Button
                size="small"
                onClick={() => {
                  setValue(option.value);
                  save.reset();
                }}
              >
                {common("action.cancel")}
              </Button>
            </>
          )}
          {same(typed, option.value) && (
            <Button size="small" look="quiet" busy={save.isPending} onClick={() => save.mutate(option.default)}>
              {t("reset")}
            </Button>
          )}
        </div>
      )}
    </form>
  );
}
