import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { useFormat } from "@/format/format";
import { Problem } from "@/ui/problem";
import type { Call, Turn } from "./dialects";
import { type Reply, recordQuery } from "./send";

interface Props {
  turns: readonly Turn[];
  running: boolean;
  reply: Reply | undefined;
}

/** What was said so far; the last answer is shown by ReplyView. */
export function Conversation({ turns, reply }: Props) {
  const { t } = useTranslation("playground");
  const shown = reply && turns.at(-1)?.role === "assistant" ? turns.slice(0, -1) : turns;
  if (shown.length === 0) return null;
  return (
    <ol className="flex flex-col gap-4">
      {shown.map((turn, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: turns are only added at the end
        <li key={i}>
          <Said by={t(`role.${turn.role}`)}>
            {turn.role === "tool" ? (
              <p className="text-sm break-words whitespace-pre-wrap">
                <code className="font-mono text-xs text-soft">{turn.call.name}</code> {turn.result}
              </p>
            ) : (
              <>
                {turn.text && <p className="text-sm break-words whitespace-pre-wrap">{turn.text}</p>}
                {turn.role === "assistant" && turn.calls.map((call) => <CallView key={call.id} call={call} />)}
                {turn.role === "user" && turn.images.length > 0 && (
                  <div className="mt-2 flex flex-wrap gap-2">
                    {turn.images.map((image, at) => (
                      <img
                        // biome-ignore lint/suspicious/noArrayIndexKey: they do not move
                        key={at}
                        src={`data:${image.type};base64,${image.base64}`}
                        alt={t("image", { number: at + 1 })}
                        className="max-h-40 rounded-md border"
                      />
                    ))}
                  </div>
                )}
              </>
            )}
          </Said>
        </li>
      ))}
    </ol>
  );
}

function Said({ by, children }: { by: string; children: ReactNode }) {
  return (
    <>
      <p className="mb-0.5 text-xs font-medium text-faint">{by}</p>
      {children}
    </>
  );
}

function CallView({ call }: { call: Call }) {
  return (
    <p className="mt-1 flex items-start gap-2 rounded-md bg-sunken px-2.5 py-1.5 font-mono text-xs">
      <Wrench aria-hidden className="mt-0.5 size-3.5 shrink-0 text-soft" />
      <span className="min-w-0 break-all">
        {call.name}({call.arguments})
      </span>
    </p>
  );
}

/** The answer as it comes, then what it took. */
export function ReplyView({ reply, running }: { reply: Reply | undefined; running: boolean }) {
  const { t } = useTranslation("playground");
  const format = useFormat();
  const { data: record } = useQuery(recordQuery(reply?.requestId, !running));
  const answer = reply?.answer;
  const input = record?.prompt_tokens ?? answer?.inputTokens;
  const output = record?.completion_tokens ?? answer?.outputTokens;
  return (
    <div className="mt-4" aria-busy={running}>
      <Said by={t("role.assistant")}>
        {answer?.thought && (
          <details className="mb-2 text-sm text-soft">
            <summary className="rounded">{t("thought")}</summary>
            <p className="mt-1 border-l-2 pl-3 break-words whitespace-pre-wrap">{answer.thought}</p>
          </details>
        )}
        <p className="text-sm break-words whitespace-pre-wrap">
          {answer?.text}
          {running && (
            <span aria-hidden className="ml-0.5 inline-block h-3.5 w-1.5 animate-pulse bg-accent align-[-2px]" />
          )}
        </p>
        {answer?.calls.map((call) => (
          <CallView key={call.id} call={call} />
        ))}
      </Said>
      {answer?.error && (
        <Problem
          error={new ApiError(502, "upstream_error", answer.error, undefined, reply?.requestId)}
          className="mt-3"
        />
      )}
      <p role="status" className="sr-only">
        {running ? t("running") : t("finished")}
      </p>
      {reply && !running && (
        <div className="mt-3 flex flex-wrap gap-x-5 gap-y-1 text-xs">
          <dl className="contents">
            <Fact name={t("tokens")}>
              {input !== undefined && output !== undefined
                ? t("inOut", { in: format.number(input), out: format.number(output) })
                : "—"}
            </Fact>
            <Fact name={t("cost")}>{record ? format.usd(record.usd) : "—"}</Fact>
            <Fact name={t("firstByte")}>{reply.first === undefined ? "—" : format.milliseconds(reply.first)}</Fact>
            <Fact name={t("total")}>{format.milliseconds(reply.total)}</Fact>
          </dl>
          {reply.requestId && (
            <Link
              to="/usage"
              search={{ request: reply.requestId }}
              className="rounded text-soft underline hover:text-ink"
            >
              {t("details")}
            </Link>
          )}
        </div>
      )}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex gap-1.5">
      <dt className="text-soft">{name}</dt>
      <dd className="font-medium">{children}</dd>
    </div>
  );
}
