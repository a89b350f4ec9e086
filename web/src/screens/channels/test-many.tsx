import { useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleDashed, CircleX } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data } from "@/api/client";
import { ApiError } from "@/api/error";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { type Channel, channelsKey } from "./queries";
import { type Outcome, testEach } from "./test-each";

interface Props {
  /** What is tested, as soon as it is shown. */
  channels: readonly Channel[];
  onClose: () => void;
}

/** Sends a real request through each of several channels, and shows how far that is. */
export function TestMany({ channels, onClose }: Props) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const format = useFormat();
  const queries = useQueryClient();
  const [all] = useState(channels); // what was chosen, whatever the list says meanwhile
  const [outcomes, setOutcomes] = useState<ReadonlyMap<number, Outcome>>(new Map());
  const [running, setRunning] = useState(false);
  const abort = useRef<AbortController>(undefined);

  const start = async () => {
    const controller = new AbortController();
    abort.current = controller;
    setOutcomes(new Map());
    setRunning(true);
    await testEach(
      all.map(({ id }) => id),
      (id) =>
        data(
          api.POST("/api/channel/{id}/test", {
            signal: controller.signal,
            params: { path: { id } },
            body: { stream: true },
          }),
        ),
      controller.signal,
      (id, outcome) => abort.current === controller && setOutcomes((now) => new Map(now).set(id, outcome)),
    );
    if (abort.current === controller) setRunning(false);
    void queries.invalidateQueries({ queryKey: channelsKey });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: it starts once, and ends with the dialog
  useEffect(() => {
    void start();
    return () => abort.current?.abort();
  }, []);

  const ended = [...outcomes.values()].filter(({ state }) => state === "ok" || state === "failed");
  const failed = ended.filter(({ state }) => state === "failed").length;
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("testMany.title", { count: all.length })}
      description={t("testMany.help")}
      wide
      holds={running}
      footer={
        running ? (
          <Button onClick={() => abort.current?.abort()}>{common("action.cancel")}</Button>
        ) : (
          <>
            <Button onClick={() => void start()}>{t("testMany.again")}</Button>
            <Button look="primary" onClick={onClose}>
              {common("action.close")}
            </Button>
          </>
        )
      }
    >
      <div className="flex flex-col gap-3 text-sm">
        <progress aria-label={t("testMany.progress")} className="sr-only" value={ended.length} max={all.length} />
        <svg aria-hidden viewBox="0 0 100 4" preserveAspectRatio="none" className="h-1.5 w-full rounded-full">
          <rect width="100" height="4" className="fill-hover" />
          <rect width={all.length > 0 ? (ended.length / all.length) * 100 : 0} height="4" className="fill-accent" />
        </svg>
        <p role="status" className="text-soft">
          {t("testMany.done", { done: format.number(ended.length), count: all.length })}
          {failed > 0 && (
            <>
              {" · "}
              <span className="text-bad">{t("testMany.failed", { count: failed })}</span>
            </>
          )}
        </p>
        <section
          // What scrolls must be reachable by keyboard.
          tabIndex={0}
          aria-label={t("testMany.progress")}
        >
          <ul className="divide-y rounded-md border">
            {all.map((channel) => (
              <li key={channel.id} className="flex gap-2.5 px-3 py-2">
                <Line name={channel.name} outcome={outcomes.get(channel.id) ?? { state: "waiting" }} />
              </li>
            ))}
          </ul>
        </section>
      </div>
    </Dialog>
  );
}

function Line({ name, outcome }: { name: string; outcome: Outcome }) {
  const { t } = useTranslation("channels");
  const { milliseconds } = useFormat();
  const { state } = outcome;
  const Icon = state === "ok" ? CircleCheck : state === "failed" ? CircleX : CircleDashed;
  const tone = state === "ok" ? "text-good" : state === "failed" ? "text-bad" : "text-faint";
  const result = "result" in outcome ? outcome.result : undefined;
  const why =
    result?.message ||
    ("error" in outcome
      ? outcome.error instanceof ApiError
        ? outcome.error.message
        : String(outcome.error)
      : undefined);
  return (
    <>
      <Icon
        aria-hidden
        className={`mt-0.5 size-4 shrink-0 ${tone} ${state === "running" ? "motion-safe:animate-spin" : ""}`}
      />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap justify-between gap-x-3">
          <span className="min-w-0 font-medium break-words">{name}</span>
          <span className="text-soft">
            {state === "ok" && result ? t("testMany.ok", { time: milliseconds(result.latency_ms) }) : null}
            {state === "failed" &&
              (result && result.status > 0 ? `${t("test.failed")} · HTTP ${result.status}` : t("test.failed"))}
            {state !== "ok" && state !== "failed" && t(`testMany.${state}`)}
          </span>
        </p>
        {state === "failed" && why && <p className="text-xs break-words text-bad">{why}</p>}
      </div>
    </>
  );
}
