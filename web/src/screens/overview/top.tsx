import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Card } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Skeleton } from "@/ui/states";
import type { Who } from "./queries";
import type { Part } from "./sums";

const few = 6;
const many = 50;

interface Props {
  kind: "model" | "key" | "user";
  /** Undefined while they are loading. */
  parts: readonly Part[] | undefined;
  who: Who;
  error: unknown;
  retry: () => void;
}

/** What was spent most on, each with its share. */
export function Top({ kind, parts, who, error, retry }: Props) {
  const { t } = useTranslation("overview");
  const format = useFormat();
  const [all, setAll] = useState(false);
  const shown = parts?.slice(0, all ? many : few);
  const top = parts?.[0]?.usd ?? 0;
  return (
    <Card title={t(`top.${kind}`)} flush>
      {error !== null && parts === undefined ? (
        <div className="p-4">
          <Problem error={error} retry={retry} />
        </div>
      ) : shown === undefined ? (
        <div className="flex flex-col gap-4 p-4">
          {[0, 1, 2, 3].map((row) => (
            <Skeleton key={row} className="h-5 w-full" />
          ))}
        </div>
      ) : shown.length === 0 ? (
        <p className="px-4 py-8 text-center text-sm text-soft">{t("top.none")}</p>
      ) : (
        <table className="w-full text-sm">
          <thead className="sr-only">
            <tr>
              <th scope="col">{t(`top.${kind}`)}</th>
              <th scope="col">{t("figure.requests")}</th>
              <th scope="col">{t("figure.spend")}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((part) => (
              <tr key={`${part.id}/${part.name}`} className="border-b last:border-0">
                <th scope="row" className="w-full max-w-0 py-2 pl-4 text-left font-normal">
                  <Name kind={kind} part={part} who={who} />
                  <svg aria-hidden viewBox="0 0 100 2" preserveAspectRatio="none" className="mt-1 h-0.5 w-full">
                    <rect width={top > 0 ? (part.usd / top) * 100 : 0} height="2" className="fill-accent/60" />
                  </svg>
                </th>
                <td className="py-2 pl-4 text-right whitespace-nowrap text-soft">
                  {t("top.requests", { count: part.requests, requests: format.compact(part.requests) })}
                </td>
                <td className="py-2 pr-4 pl-4 text-right font-medium whitespace-nowrap">{format.usd(part.usd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {!all && parts && parts.length > few && (
        <div className="border-t px-2 py-1.5">
          <Button look="quiet" size="small" onClick={() => setAll(true)}>
            {t("top.more", { count: Math.min(parts.length, many) - few })}
          </Button>
        </div>
      )}
    </Card>
  );
}

function Name({ kind, part, who }: { kind: Props["kind"]; part: Part; who: Who }) {
  const { t } = useTranslation("overview");
  const look = "block truncate rounded hover:underline";
  const all = who === "all" ? ({ who: "all" } as const) : {};
  if (part.name === "") return <span className="text-faint">{t("top.unnamed")}</span>;
  if (kind === "model") {
    return (
      <Link to="/usage" search={{ model: part.name, ...all }} className={`${look} font-mono text-xs`}>
        {part.name}
      </Link>
    );
  }
  if (kind === "key" && who === "all") {
    // Whose it is stands in its requests.
    return (
      <Link to="/usage" search={{ key: part.id, ...all }} className={look}>
        {part.name}
      </Link>
    );
  }
  if (kind === "key") {
    return (
      <Link to="/keys/$id" params={{ id: String(part.id) }} className={look}>
        {part.name}
      </Link>
    );
  }
  return (
    <Link to="/usage" search={{ user: part.id, ...all }} className={look}>
      {part.name}
    </Link>
  );
}
