import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Monitor, Smartphone } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Problem } from "@/ui/problem";
import { Skeleton } from "@/ui/states";
import { toast, toastProblem } from "@/ui/toast";
import { sessionsQuery, signInKey } from "./queries";
import { Section } from "./section";
import { useSessionWords } from "./session-words";

type Session = Schemas["Session"];

/** Where one is signed in. */
export function Sessions() {
  const { t } = useTranslation("settings");
  const queries = useQueryClient();
  const { data: page, error, refetch } = useQuery(sessionsQuery);
  const [asking, setAsking] = useState(false);
  const changed = () => void queries.invalidateQueries({ queryKey: signInKey });
  const end = useMutation({
    mutationFn: (id: number) => data(api.DELETE("/api/user/session/{id}", { params: { path: { id } } })),
    onSuccess: () => toast(t("sessions.ended")),
    onError: toastProblem,
    onSettled: changed,
  });
  const endOthers = useMutation({
    mutationFn: () => data(api.DELETE("/api/user/session")),
    onSuccess: (count) => {
      setAsking(false);
      toast(t("sessions.othersEnded", { count }));
    },
    onSettled: changed,
  });
  const others = (page?.items.filter((session) => !session.current) ?? []).length;
  return (
    <Section
      title={t("sessions.title")}
      help={t("sessions.help")}
      flush
      actions={others > 0 && <Button onClick={() => setAsking(true)}>{t("sessions.endOthers")}</Button>}
    >
      {error && <Problem error={error} retry={() => void refetch()} className="m-4" />}
      {!page && !error && <Skeleton className="m-4 h-8" />}
      {page && (
        <ul aria-label={t("sessions.title")}>
          {page.items.map((session) => (
            <SessionRow
              key={session.id}
              session={session}
              onEnd={() => end.mutate(session.id)}
              busy={end.isPending && end.variables === session.id}
            />
          ))}
        </ul>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title={t("sessions.endOthers")}
        action={t("sessions.end")}
        danger
        onConfirm={() => endOthers.mutate()}
        busy={endOthers.isPending}
        error={endOthers.error}
      >
        <p>{t("sessions.endOthersHelp", { count: others })}</p>
      </Confirm>
    </Section>
  );
}

function SessionRow({ session, onEnd, busy }: { session: Session; onEnd: () => void; busy: boolean }) {
  const { t } = useTranslation("settings");
  const format = useFormat();
  const { device: name, mobile, method } = useSessionWords()(session);
  const Icon = mobile ? Smartphone : Monitor;
  return (
    <li className="flex items-center gap-3 border-b px-4 py-2.5 last:border-0">
      <Icon aria-hidden className="size-4 shrink-0 text-soft" />
      <div className="min-w-0 flex-1 text-sm">
        <p className="flex flex-wrap items-center gap-x-2 font-medium">
          <span className="min-w-0 break-words" title={session.user_agent}>
            {name}
          </span>
          {session.current && <Badge tone="good">{t("sessions.current")}</Badge>}
        </p>
        <p className="text-xs text-soft">
          {session.ip}
          {" · "}
          {method}
          {" · "}
          {session.current ? t("sessions.now") : t("sessions.seen", { ago: format.ago(session.seen_time) })}
        </p>
        <p className="text-xs text-soft">
          {t("sessions.span", { from: format.dateTime(session.created_time), to: format.dateTime(session.expires_at) })}
        </p>
      </div>
      {!session.current && (
        <Button
          size="small"
          className="max-sm:h-9"
          aria-label={t("sessions.endOne", { name })}
          onClick={onEnd}
          busy={busy}
        >
          {t("sessions.end")}
        </Button>
      )}
    </li>
  );
}
