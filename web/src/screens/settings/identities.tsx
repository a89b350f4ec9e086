import { useQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { statusQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { useProven } from "./proof";
import { identitiesQuery, signInKey } from "./queries";
import { Section } from "./section";

type Asked = { link: Schemas["LoginButton"] } | { unlink: Schemas["Identity"] };

/** One's accounts at identity providers; nothing where there are none of either. */
export function Identities({ hasPassword }: { hasPassword: boolean }) {
  const { t } = useTranslation("settings");
  const format = useFormat();
  const { data: status } = useSuspenseQuery(statusQuery);
  const { data: page, error, refetch } = useQuery(identitiesQuery);
  const [asked, setAsked] = useState<Asked>();
  const linked = page?.items ?? [];
  const open = status.login_providers.filter((one) => !linked.some((identity) => identity.provider === one.name));
  if (linked.length === 0 && status.login_providers.length === 0) return null;
  const labelOf = (name: string) => status.login_providers.find((one) => one.name === name)?.label ?? name;
  return (
    <Section title={t("identities.title")} help={t("identities.help")} flush>
      {error && <Problem error={error} retry={() => void refetch()} className="m-4" />}
      <ul aria-label={t("identities.title")}>
        {linked.map((identity) => (
          <Row
            key={identity.id}
            title={labelOf(identity.provider)}
            note={`${identity.shown} · ${t("identities.since", { date: format.date(identity.created_time) })}`}
          >
            <Button
              size="small"
              className="max-sm:h-9"
              aria-label={t("identities.unlinkOne", { name: labelOf(identity.provider) })}
              onClick={() => setAsked({ unlink: identity })}
            >
              {t("identities.unlink")}
            </Button>
          </Row>
        ))}
        {page &&
          open.map((provider) => (
            <Row key={provider.name} title={provider.label} note={t("identities.open")}>
              <Button
                size="small"
                className="max-sm:h-9"
                aria-label={t("identities.linkOne", { name: provider.label })}
                onClick={() => setAsked({ link: provider })}
              >
                {t("identities.link")}
              </Button>
            </Row>
          ))}
      </ul>
      {asked && (
        <Ask
          asked={asked}
          name={"link" in asked ? asked.link.label : labelOf(asked.unlink.provider)}
          hasPassword={hasPassword}
          onClose={() => setAsked(undefined)}
        />
      )}
    </Section>
  );
}

function Row({ title, note, children }: { title: string; note: string; children: React.ReactNode }) {
  return (
    <li className="flex items-center gap-3 border-b px-4 py-2.5 last:border-0">
      <div className="min-w-0 flex-1 text-sm">
        <p className="truncate font-medium">{title}</p>
        <p className="text-xs break-words text-soft">{note}</p>
      </div>
      {children}
    </li>
  );
}

function Ask({
  asked,
  name,
  hasPassword,
  onClose,
}: {
  asked: Asked;
  name: string;
  hasPassword: boolean;
  onClose: () => void;
}) {
  const { t } = useTranslation("settings");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const form = useId();
  const links = "link" in asked;
  const change = useProven(
    async (proof) => {
      if (!("link" in asked)) {
        await data(api.DELETE("/api/user/identity/{id}", { params: { path: { id: asked.unlink.id } }, body: proof }));
        return undefined;
      }
      const path = { name: asked.link.name };
      const query = { return_to: "/settings/security" };
      return data(api.POST("/api/user/oidc/{name}/link", { params: { path, query }, body: proof }));
    },
    (visit) => {
      if (visit) {
        window.location.assign(visit.url); // the provider sends the browser back
        return;
      }
      toast(t("identities.unlinked", { name }));
      void queries.invalidateQueries({ queryKey: signInKey });
      onClose();
    },
    hasPassword,
  );
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t(links ? "identities.linkOne" : "identities.unlinkOne", { name })}
      description={t(links ? "identities.linkHelp" : "identities.unlinkHelp", { name })}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button type="submit" form={form} look={links ? "primary" : "danger"} busy={change.busy}>
            {links ? t("proof.go") : t("identities.unlink")}
          </Button>
        </>
      }
    >
      <form
        id={form}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          change.run();
        }}
      >
        {change.field}
        <Problem error={change.error} />
      </form>
    </Dialog>
  );
}
