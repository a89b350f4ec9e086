import { useTranslation } from "react-i18next";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";
import type { Override } from "./form";
import { Rows } from "./parts";

/** What is changed in requests on their way upstream. */
export function OverrideFields({
  lines,
  onChange,
  error,
}: {
  lines: readonly Override[];
  onChange: (lines: Override[]) => void;
  error: string | undefined;
}) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  return (
    <Field label={t("overrides.label")} help={t("help.overrides")} error={error} group>
      <Rows
        add={t("overrides.add")}
        onAdd={() => onChange([...lines, { part: "body", how: "set", name: "", value: "" }])}
        onRemove={(i) => onChange(lines.filter((_, at) => at !== i))}
        removeLabel={common("action.remove")}
        rows={lines.map((line, i) => {
          const change = (to: Partial<Override>) =>
            onChange(lines.map((one, at) => (at === i ? { ...one, ...to } : one)));
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
            <div key={i} className="grid flex-1 grid-cols-2 gap-1.5 sm:grid-cols-[6rem_9rem_1fr_1fr]">
              <Select
                aria-label={t("overrides.part")}
                value={line.part}
                onChange={(event) => change({ part: event.target.value as Override["part"] })}
                options={(["body", "headers"] as const).map((value) => ({ value, label: t(`overrides.${value}`) }))}
              />
              <Select
                aria-label={t("overrides.how")}
                value={line.how}
                onChange={(event) => change({ how: event.target.value as Override["how"] })}
                options={(["set", "default", "remove"] as const).map((value) => ({
                  value,
                  label: t(`overrides.${value}`),
                }))}
              />
              <Input
                aria-label={line.part === "headers" ? t("overrides.header") : t("overrides.path")}
                placeholder={line.part === "headers" ? "X-Team" : "metadata.team"}
                value={line.name}
                spellCheck={false}
                onChange={(event) => change({ name: event.target.value })}
              />
              {line.how !== "remove" && (
                <Input
                  aria-label={t("overrides.value")}
                  placeholder={t("overrides.value")}
                  value={line.value}
                  spellCheck={false}
                  onChange={(event) => change({ value: event.target.value })}
                />
              )}
            </div>
          );
        })}
      />
    </Field>
  );
}
