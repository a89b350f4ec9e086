import { CircleAlert, RotateCw, Unplug } from "lucide-react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { Button } from "./button";
import { CopyButton } from "./copy";
import { cx } from "./cx";

interface Props {
  /** Nothing is shown for null and undefined. */
  error: unknown;
  retry?: (() => void) | undefined;
  /** Whether it stands in for a whole panel rather than beside a form. */
  large?: boolean;
  className?: string;
}

/** The one way in which errors are shown: the server's sentence and the request's id. */
export function Problem({ error, retry, large, className }: Props) {
  const { t } = useTranslation();
  if (error === null || error === undefined) return null;
  const offline = error instanceof ApiError && error.offline;
  const message = offline ? t("problem.offline") : error instanceof ApiError ? error.message : t("problem.ours");
  // What is not there will not be there the next time.
  const again = error instanceof ApiError && error.status === 404 ? undefined : retry;
  const Icon = offline ? Unplug : CircleAlert;
  return (
    <div
      role="alert"
      className={cx(
        "flex gap-2.5 text-sm",
        large
          ? "mx-auto max-w-md flex-col items-center py-16 text-center"
          : "flex-wrap items-start justify-end rounded-md bg-bad-soft px-3 py-2.5",
        className,
      )}
    >
      <Icon aria-hidden className={cx("shrink-0 text-bad", large ? "size-5" : "mt-0.5 size-4")} />
      <div className={cx("flex-1", large ? "min-w-0" : "min-w-[min(16rem,80%)] text-bad")}>
        <p className="break-words">{message}</p>
        {error instanceof ApiError && error.requestId && (
          <p className={cx("mt-0.5 flex items-center gap-1 text-xs", large ? "justify-center text-soft" : "text-bad")}>
            <span className="truncate">
              {t("problem.request")} <code className="font-mono">{error.requestId}</code>
            </span>
            <CopyButton value={error.requestId} label={t("problem.copyRequest")} small />
          </p>
        )}
        {!(error instanceof ApiError) && error instanceof Error && (
          <p className="mt-0.5 text-xs break-words text-soft">{error.message}</p>
        )}
      </div>
      {again && (
        <Button size="small" onClick={again} icon={<RotateCw aria-hidden className="size-3.5" />}>
          {t("action.retry")}
        </Button>
      )}
    </div>
  );
}
