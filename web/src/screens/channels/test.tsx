import { useMutation } from "@tanstack/react-query";
import { CircleCheck, CircleX, Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Checkbox } from "@/ui/input";
import { Problem } from "@/ui/problem";
import type { Body } from "./form";

interface Props {
  models: readonly string[];
  /** What is tested: a saved channel, or what the form says. */
  of: { id: number } | { draft: () => Body & { channel_id?: number } };
}

/** Sends a real request through a channel and shows what came back. */
export function LiveTest({ models, of }: Props) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const names = [...new Set(models)].filter((model) => !model.includes("*"));
  const [chosen, setChosen] = useState("");
  const [stream, setStream] = useState(true);
  const [cancel, setCancel] = useState<AbortController>();
  const model = chosen || names[0] || "";
  const test = useMutation({
    mutationFn: async () => {
      const controller = new AbortController();
      setCancel(controller);
      const { signal } = controller;
      const asked = { stream, ...(model && { model }) };
      return "id" in of
        ? data(api.POST("/api/channel/{id}/test", { signal, params: { path: { id: of.id } }, body: asked }))
        : data(api.POST("/api/channel/test", { signal, body: { ...of.draft(), ...asked } }));
    },
  });
  const told = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (test.submittedAt && !test.isPending) told.current?.scrollIntoView({ block: "nearest" });
  }, [test.submittedAt, test.isPending]);
  const cancelled = test.error instanceof DOMException && test.error.name === "AbortError";
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end gap-x-3 gap-y-2">
        <Field label={t("test.model")} className="min-w-48 flex-1">
          <Combobox options={names} value={model} onChange={setChosen} free placeholder={t("test.modelHint")} />
        </Field>
        <div className="flex h-8 items-center max-sm:h-10">
          <Checkbox label={t("test.stream")} checked={stream} onChange={(event) => setStream(event.target.checked)} />
        </div>
        {test.isPending ? (
          <Button onClick={() => cancel?.abort()} busy={false}>
            {common("action.cancel")}
          </Button>
        ) : null}
        <Button
          onClick={() => test.mutate()}
          busy={test.isPending}
          icon={<Play aria-hidden className="size-3.5 text-soft" />}
        >
          {t("test.run")}
        </Button>
      </div>
      <div ref={told} aria-live="polite" className="scroll-mb-24">
        {!test.isPending && !cancelled && <Problem error={test.error} />}
        {!test.isPending && test.data && <Outcome result={test.data} />}
      </div>
    </div>
  );
}

function Outcome({ result }: { result: Schemas["ChannelTest"] }) {
  const { t } = useTranslation("channels");
  const { milliseconds } = useFormat();
  const Icon = result.ok ? CircleCheck : CircleX;
  return (
    <div className="rounded-md border text-sm">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-0.5 px-3 py-2">
        <Icon aria-hidden className={`size-4 ${result.ok ? "text-good" : "text-bad"}`} />
        <span className="font-medium">{result.ok ? t("test.ok") : t("test.failed")}</span>
        <span className="text-soft">
          {result.status > 0 && `HTTP ${result.status} · `}
          {milliseconds(result.latency_ms)}
          {result.first_byte_ms > 0 && ` · ${t("test.firstByte", { time: milliseconds(result.first_byte_ms) })}`}
        </span>
      </p>
      {result.message && <p className="border-t px-3 py-2 break-words text-bad">{result.message}</p>}
      {result.answer && result.answer !== result.message && (
        <pre className="thin-scrollbar max-h-40 overflow-auto border-t bg-sunken px-3 py-2 font-mono text-xs break-words whitespace-pre-wrap">
          {result.answer}
        </pre>
      )}
    </div>
  );
}
