import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { cx } from "./cx";

interface EmptyProps {
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
}

/** There is nothing here: why, and what to do about it. */
export function Empty({ title, children, action }: EmptyProps) {
  return (
    <div data-empty className="mx-auto flex max-w-sm flex-col items-center gap-1 px-4 py-14 text-center">
      <p className="text-sm font-medium">{title}</p>
      {children && <p className="text-sm text-soft">{children}</p>}
      {action && <div className="mt-3 flex gap-2">{action}</div>}
    </div>
  );
}

/** Stands where something will be, in its size. */
export function Skeleton({ className }: { className?: string }) {
  return (
    <span aria-hidden data-loading className={cx("block animate-pulse rounded bg-hover", className ?? "h-4 w-full")} />
  );
}

/** A page that is not there yet. */
export function PageLoading() {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("state.loading")} className="flex flex-col gap-4 p-4 sm:p-6">
      <Skeleton className="h-7 w-48" />
      <Skeleton className="h-24 w-full" />
      <Skeleton className="h-64 w-full" />
    </div>
  );
}
