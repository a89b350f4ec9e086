import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { GripVertical } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { Problem } from "@/ui/problem";
import { Empty, PageLoading } from "@/ui/states";
import { toast } from "@/ui/toast";
import { summarize } from "./health";
import { beside, moved, type Place, priorities, type Tier, tiersOf } from "./order";
import { type Channel, channelsKey } from "./queries";
import { ConditionBadge } from "./status";

interface Props {
  channels: readonly Channel[] | undefined;
  group: string | undefined;
  q: string;
  error: unknown;
  retry: () => void;
}

/** The order in which channels are tried, changed by dragging or by arrow keys. */
export function OrderView({ channels, group, q, error, retry }: Props) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const { number } = useFormat();
  const queries = useQueryClient();
  const saved = useMemo(() => tiersOf(channels ?? []), [channels]);
  const [edited, setEdited] = useState<Tier[]>();
  const [dragged, setDragged] = useState<number>();
  const [over, setOver] = useState<Place>();
  const [told, setTold] = useState("");
  const focus = useRef<number>(undefined);
  const host = useRef<HTMLDivElement>(null);
  const tiers = edited ?? saved;
  const byId = useMemo(() => new Map((channels ?? []).map((channel) => [channel.id, channel])), [channels]);
  const numbers = useMemo(() => priorities(tiers), [tiers]);
  const changes = [...numbers].filter(([id, priority]) => byId.get(id) && byId.get(id)?.priority !== priority);

  // A channel that was moved keeps the focus, in its new place.
  useEffect(() => {
    if (focus.current === undefined) return;
    host.current?.querySelector<HTMLElement>(`[data-handle="${focus.current}"]`)?.focus();
    focus.current = undefined;
  });

  const [done, setDone] = useState(0);
  const save = useMutation({
    mutationFn: async () => {
      setDone(0);
      for (const [id, priority] of changes) {
        const version = byId.get(id)?.version;
        await data(
          api.PATCH("/api/channel/{id}", {
            params: { path: { id } },
            ...(version !== undefined && { headers: { "If-Match": `"${version}"` } }),
            body: { priority },
          }),
        );
        setDone((now) => now + 1);
      }
    },
    onSuccess: () => toast(t("order.saved")),
    onSettled: async (_, failed) => {
      await queries.invalidateQueries({ queryKey: channelsKey });
      if (!failed) setEdited(undefined);
    },
  });

  if (error && !channels) return <Problem error={error} retry={retry} large />;
  if (!channels) return <PageLoading />;
  if (channels.length === 0) return <Empty title={t("empty.title")}>{t("empty.help")}</Empty>;

  const put = (id: number, to: Place) => {
    const next = moved(tiers, id, to);
    setEdited(next);
    const step = next.findIndex((tier) => tier.ids.includes(id)) + 1;
    setTold(t("order.moved", { name: byId.get(id)?.name ?? "", step: number(step), steps: number(next.length) }));
  };
  const dims = (channel: Channel) =>
    (group !== undefined && !channel.groups.includes(group)) ||
    (q !== "" && !`${channel.name} ${channel.tag} ${channel.models.join(" ")}`.toLowerCase().includes(q.toLowerCase()));
  const drop = (place: Place) => ({
    onDragOver: (event: React.DragEvent) => {
      if (dragged === undefined) return;
      event.preventDefault();
      setOver(place);
    },
    onDrop: (event: React.DragEvent) => {
      event.preventDefault();
      if (dragged !== undefined) put(dragged, place);
      setDragged(undefined);
      setOver(undefined);
    },
  });
  const isOver = (place: Place) => over?.at === place.at && over.fresh === place.fresh;
  const between = (at: number) => (
    <div
      aria-hidden
      {...drop({ at, fresh: true })}
      className={cx("flex items-center py-1", dragged !== undefined ? "h-6" : "h-2")}
    >
      <span
        className={cx(
          "h-0.5 w-full rounded-full",
          dragged !== undefined && (isOver({ at, fresh: true }) ? "bg-accent" : "bg-line"),
        )}
      />
    </div>
  );
  return (
    <div ref={host} className="flex max-w-3xl flex-col">
      <p className="mb-2 text-sm text-soft">{t("order.help")}</p>
      <p role="status" className="sr-only">
        {told}
      </p>
      {tiers.map((tier, at) => (
        <div key={tier.ids[0]}>
          {between(at)}
          <section
            aria-label={t("order.step", { step: number(at + 1) })}
            {...drop({ at, fresh: false })}
            className={cx(
              "flex overflow-hidden rounded-lg border",
              dragged !== undefined && isOver({ at, fresh: false }) && "border-accent bg-accent-soft",
            )}
          >
            <div className="flex w-14 shrink-0 flex-col items-center justify-center border-r bg-sunken py-2 text-xs text-soft sm:w-20">
              <span className="text-sm font-medium text-ink">{number(numbers.get(tier.ids[0] ?? 0) ?? 0)}</span>
              <span className="max-sm:hidden">{t("order.priority")}</span>
            </div>
            <ul className="flex min-w-0 flex-1 flex-col justify-center divide-y">
              {tier.ids.map((id) => {
                const channel = byId.get(id);
                if (!channel) return null;
                const changed = numbers.get(id) !== channel.priority;
                const total = tier.ids.reduce((sum, one) => sum + (byId.get(one)?.weight ?? 0), 0);
                return (
                  <li
                    key={id}
                    draggable
                    onDragStart={(event) => {
                      event.dataTransfer.effectAllowed = "move";
                      event.dataTransfer.setData("text/plain", channel.name);
                      setDragged(id);
                    }}
                    onDragEnd={() => {
                      setDragged(undefined);
                      setOver(undefined);
                    }}
                    className={cx(
                      "flex min-h-11 items-center gap-2 py-1.5 pr-3 pl-1.5",
                      dragged === id && "opacity-40",
                      dims(channel) && "opacity-40",
                    )}
                  >
                    <button
                      type="button"
                      data-handle={id}
                      aria-label={t("order.handle", { name: channel.name })}
                      title={t("order.keys")}
                      onKeyDown={(event) => {
                        const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : undefined;
                        if (step === undefined) return;
                        event.preventDefault();
                        const place = beside(tiers, id, step);
                        if (!place) return;
                        focus.current = id;
                        put(id, place);
                      }}
                      className="flex size-7 shrink-0 cursor-grab items-center justify-center rounded text-faint hover:bg-hover hover:text-ink max-sm:size-9"
                    >
                      <GripVertical aria-hidden className="size-4" />
                    </button>
                    <Link
                      to="/channels/$id"
                      params={{ id: String(id) }}
                      draggable={false}
                      className="min-w-0 flex-1 truncate rounded text-sm hover:underline"
                    >
                      {channel.name}
                    </Link>
                    {changed && (
                      <span className="shrink-0 text-xs text-accent">
                        {t("order.was", { priority: number(channel.priority) })}
                      </span>
                    )}
                    {tier.ids.length > 1 && total > 0 && (
                      <span className="shrink-0 text-xs text-soft max-sm:hidden">
                        {t("order.weight", { weight: number(channel.weight) })}
                      </span>
                    )}
                    <ConditionBadge summary={summarize(channel)} />
                  </li>
                );
              })}
            </ul>
          </section>
        </div>
      ))}
      {between(tiers.length)}
      {edited && (
        <div
          data-bar
          className="sticky bottom-4 mt-3 flex flex-wrap items-center justify-end gap-2 rounded-lg border bg-raised px-4 py-2.5 shadow-pop"
        >
          <span className="mr-auto text-sm" role="status">
            {save.isPending
              ? t("order.saving", { done: number(done), count: changes.length })
              : t("order.changes", { count: changes.length })}
          </span>
          {!save.isPending && <Problem error={save.error} className="w-full" />}
          <Button onClick={() => setEdited(undefined)}>{t("order.discard")}</Button>
          <Button look="primary" busy={save.isPending} disabled={changes.length === 0} onClick={() => save.mutate()}>
            {common("action.save")}
          </Button>
        </div>
      )}
    </div>
  );
}
