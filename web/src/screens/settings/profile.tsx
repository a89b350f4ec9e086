import { useMutation, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { selfQuery } from "@/api/queries";
import { chooseTheme, rememberLanguage, useTheme } from "@/app/preferences";
import { useFormat } from "@/format/format";
import { allZones, browserZone } from "@/format/zone";
import { type Language, languages, speak } from "@/messages";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Input, Segments, Select } from "@/ui/input";
import { Facts } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { Section } from "./section";

/** Who one is, and how the console looks to one. */
export function ProfileScreen() {
  const { data: self } = useSuspenseQuery(selfQuery);
  if (!self) return null;
  return (
    <>
      <Profile self={self} />
      <Preferences self={self} />
    </>
  );
}

type Change = Pick<Schemas["SelfPatchBody"], "display_name" | "email" | "time_zone" | "language">;

function useChange(said: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Change) => data(api.PATCH("/api/user/self", { body })),
    onSuccess: (user) => {
      queries.setQueryData(selfQuery.queryKey, user);
      toast(said);
    },
  });
}

function Profile({ self }: { self: Schemas["User"] }) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const format = useFormat();
  const [name, setName] = useState(self.display_name);
  const [email, setEmail] = useState(self.email);
  const change = useChange(t("profile.saved"));
  const changed = name.trim() !== self.display_name || email.trim() !== self.email;
  return (
    <Section title={t("profile.title")} help={t("profile.help")}>
      <form
        className="flex max-w-md flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (changed && !change.isPending) change.mutate({ display_name: name.trim(), email: email.trim() });
        }}
      >
        <Facts
          items={[
            { label: t("profile.username"), value: self.username },
            { label: t("profile.role"), value: common(`role.${self.role}`) },
            { label: t("profile.group"), value: self.group },
            { label: t("profile.since"), value: format.date(self.created_time) },
          ]}
        />
        <Field label={t("profile.displayName")} error={errorOf(change.error, "display_name")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} autoComplete="name" maxLength={64} />
        </Field>
        <Field label={t("profile.email")} error={errorOf(change.error, "email")}>
          <Input type="email" value={email} onChange={(event) => setEmail(event.target.value)} autoComplete="email" />
        </Field>
        <Problem error={change.error} />
        <Button type="submit" look="primary" className="self-start" disabled={!changed} busy={change.isPending}>
          {common("action.save")}
        </Button>
      </form>
    </Section>
  );
}

function Preferences({ self }: { self: Schemas["User"] }) {
  const { t, i18n } = useTranslation("settings");
  const { t: common } = useTranslation();
  const theme = useTheme();
  const change = useChange(t("preferences.saved"));
  const zone = self.time_zone || browserZone();
  return (
    <Section title={t("preferences.title")} help={t("preferences.help")}>
      <div className="flex max-w-md flex-col gap-4">
        <Field label={common("shell.language")}>
          <Select
            value={i18n.language}
            onChange={(event) => {
              const language = event.target.value as Language;
              rememberLanguage(language);
              void speak(language);
              change.mutate({ language });
            }}
            options={(Object.keys(languages) as Language[]).map((value) => ({ value, label: languages[value] }))}
          />
        </Field>
        <Field label={common("shell.theme")} help={t("preferences.themeHelp")} group>
          <Segments
            label={common("shell.theme")}
            value={theme}
            onChange={chooseTheme}
            options={(["system", "light", "dark"] as const).map((value) => ({
              value,
              label: common(`theme.${value}`),
            }))}
          />
        </Field>
        <Field
          label={t("preferences.zone")}
          help={t("preferences.zoneHelp", { zone: browserZone() })}
          error={errorOf(change.error, "time_zone")}
        >
          <Combobox
            options={allZones()}
            value={zone}
            onChange={(time_zone) => {
              if (time_zone !== "" && time_zone !== zone) change.mutate({ time_zone });
            }}
          />
        </Field>
        <Problem error={change.error} />
      </div>
    </Section>
  );
}
