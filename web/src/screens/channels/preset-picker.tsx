import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Input } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { type Preset, presetsQuery } from "./queries";

/** Chooses the provider that a new channel is to. */
export function PresetPicker({ onPick }: { onPick: (preset: Preset | "own") => void }) {
  const { t } = useTranslation("channels");
  const presets = useQuery(presetsQuery);
  const [text, setText] = useState("");
  const found = (preset: Preset) =>
    `${preset.name} ${preset.id} ${preset.base_url}`.toLowerCase().includes(text.trim().toLowerCase());
  const sections = [
    { label: t("new.hosted"), items: presets.data?.filter((preset) => !preset.local && found(preset)) ?? [] },
    { label: t("new.local"), items: presets.data?.filter((preset) => preset.local && found(preset)) ?? [] },
  ];
  return (
    <div className="flex flex-col gap-4">
      <Input
        type="search"
        aria-label={t("new.search")}
        placeholder={t("new.search")}
        value={text}
        autoFocus
        onChange={(event) => setText(event.target.value)}
      />
      <Problem error={presets.error} retry={() => void presets.refetch()} />
      {sections.map(
        (section) =>
          section.items.length > 0 && (
            <section key={section.label}>
              <h3 className="mb-1.5 text-xs text-soft">{section.label}</h3>
              <ul className="grid gap-1.5 sm:grid-cols-2">
                {section.items.map((preset) => (
                  <li key={preset.id} className="min-w-0">
                    <button
                      type="button"
                      onClick={() => onPick(preset)}
                      className="flex w-full flex-col rounded-md border px-3 py-2 text-left hover:border-edge hover:bg-hover"
                    >
                      <span className="text-sm font-medium">{preset.name}</span>
                      <span className="w-full truncate text-xs text-soft">
                        {preset.base_url || preset.example || t("new.builtIn")}
                      </span>
                    </button>
                  </li>
                ))}
              </ul>
            </section>
          ),
      )}
      <button
        type="button"
        onClick={() => onPick("own")}
        className="flex w-full flex-col rounded-md border border-dashed px-3 py-2 text-left hover:border-edge hover:bg-hover"
      >
        <span className="text-sm font-medium">{t("new.own")}</span>
        <span className="text-xs text-soft">{t("new.ownHelp")}</span>
      </button>
    </div>
  );
}
