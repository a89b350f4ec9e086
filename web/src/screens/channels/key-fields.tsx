import { X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Field } from "@/ui/field";
import { Textarea } from "@/ui/input";
import type { ChannelForm } from "./form";

/** The upstream keys: those that are kept, and new ones. */
export function KeyFields({
  form,
  set,
  optional,
  error,
}: {
  form: ChannelForm;
  set: (to: Partial<ChannelForm>) => void;
  optional: boolean;
  error: string | undefined;
}) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const kind = form.kind;
  return (
    <div className="flex flex-col gap-2">
      {form.kept.length > 0 && (
        <Field label={t("keys.kept")} group>
          <ul className="flex flex-wrap gap-1">
            {form.kept.map((last4, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two keys may end alike
              <li key={i} className="inline-flex items-center rounded bg-hover pl-1.5 font-mono text-xs">
                …{last4}
                <button
                  type="button"
                  aria-label={`${common("action.remove")} …${last4}`}
                  onClick={() => set({ kept: form.kept.filter((_, at) => at !== i) })}
                  className="flex size-6 items-center justify-center rounded text-soft hover:text-ink"
                >
                  <X aria-hidden className="size-3" />
                </button>
              </li>
            ))}
          </ul>
        </Field>
      )}
      <Field
        label={form.kept.length > 0 ? t("keys.more") : t("keys.label")}
        error={error}
        help={
          kind === "azure" || kind === "vertex" || kind === "bedrock"
            ? t(`keys.help.${kind}`)
            : optional
              ? t("keys.help.optional")
              : t("keys.help.plain")
        }
      >
        <Textarea
          rows={kind === "vertex" ? 4 : 2}
          className="font-mono text-xs"
          value={form.newKeys}
          onChange={(event) => set({ newKeys: event.target.value })}
          autoComplete="off"
          spellCheck={false}
          placeholder={kind === "vertex" ? '{"type": "service_account", …}' : t("keys.hint")}
        />
      </Field>
    </div>
  );
}
