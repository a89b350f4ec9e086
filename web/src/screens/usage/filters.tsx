import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ownModelsQuery } from "@/api/queries";
import { Combobox } from "@/ui/combobox";
import { Input, Select } from "@/ui/input";
import { keyChoicesQuery, keyNameQuery } from "./queries";
import type { UsageSearch } from "./search";

const statuses = [200, 400, 401, 402, 403, 404, 413, 429, 499, 500, 502, 503, 504];

interface Props {
  search: UsageSearch;
  onChange: (to: { [Name in keyof UsageSearch]: UsageSearch[Name] | undefined }) => void;
}

/** What narrows the list. */
export function Filters({ search, onChange }: Props) {
  const { t } = useTranslation("usage");
  const models = useQuery(ownModelsQuery);
  const status = search.errors ? "errors" : String(search.status ?? "");
  const known = search.status && !statuses.includes(search.status) ? [...statuses, search.status] : statuses;
  return (
    <div className="mb-3 grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
      <div className="sm:w-52">
        <Combobox
          aria-label={t("filter.model")}
          placeholder={t("filter.anyModel")}
          options={models.data ?? []}
          free
          value={search.model ?? ""}
          onChange={(model) => onChange({ model: model || undefined })}
        />
      </div>
      {search.who !== "all" && <KeyFilter value={search.key} onChange={(key) => onChange({ key })} />}
      <Select
        aria-label={t("filter.status")}
        className="sm:w-44"
        value={status}
        onChange={({ target }) =>
          onChange({
            errors: target.value === "errors" ? true : undefined,
            status: Number(target.value) || undefined,
          })
        }
        options={[
          { value: "", label: t("filter.anyStatus") },
          { value: "errors", label: t("filter.errors") },
          ...known.map((code) => ({ value: String(code), label: `${code} ${meaning(code, t)}`.trim() })),
        ]}
      />
      <RequestField value={search.request ?? ""} onChange={(request) => onChange({ request: request || undefined })} />
    </div>
  );
}

type T = ReturnType<typeof useTranslation<"usage">>["t"];

function meaning(code: number, t: T): string {
  switch (code) {
    case 200:
    case 400:
    case 401:
    case 402:
    case 403:
    case 404:
    case 413:
    case 429:
    case 499:
    case 500:
    case 502:
    case 503:
    case 504:
      return t(`status.${code}`);
    default:
      return "";
  }
}

/** One of the viewer's keys, found on the server: there may be very many. */
function KeyFilter({ value, onChange }: { value: number | undefined; onChange: (key: number | undefined) => void }) {
  const { t } = useTranslation("usage");
  const [text, setText] = useState("");
  const choices = useQuery(keyChoicesQuery(text));
  const chosen = useQuery(keyNameQuery(value ?? 0));
  const options = (choices.data?.items ?? []).map((key) => ({
    value: String(key.id),
    label: key.name,
    note: `…${key.key.slice(-4)}`,
  }));
  if (value && !options.some((option) => option.value === String(value))) {
    options.unshift({
      value: String(value),
      label: chosen.data?.name ?? `#${value}`,
      note: chosen.data ? `…${chosen.data.key.slice(-4)}` : "",
    });
  }
  return (
    <div className="sm:w-52">
      <Combobox
        aria-label={t("filter.key")}
        placeholder={t("filter.anyKey")}
        options={options}
        value={value ? String(value) : ""}
        onText={setText}
        onChange={(key) => onChange(Number(key) || undefined)}
      />
    </div>
  );
}

/** Searches a moment after the last letter. */
function RequestField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation("usage");
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another text starts the wait anew
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => onChange(text.trim()), 300);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div className="sm:w-72">
      <Input
        type="search"
        aria-label={t("filter.request")}
        placeholder={t("filter.request")}
        value={text}
        onChange={(event) => setText(event.target.value)}
        lead={<Search className="size-3.5" />}
      />
    </div>
  );
}
