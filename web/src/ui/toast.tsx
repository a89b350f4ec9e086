import { CircleAlert, CircleCheck, X } from "lucide-react";
import { useEffect, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { Button, IconButton } from "./button";

interface Toast {
  id: number;
  text: string;
  tone: "good" | "bad";
  requestId?: string | undefined;
  action?: { label: string; run: () => void } | undefined;
}

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function put(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Says that something was done, with a way back where there is one. */
export function toast(text: string, action?: Toast["action"]): void {
  put([...toasts.slice(-2), { id: ++last, text, tone: "good", action }]);
}

/** Says that something failed that has no place of its own on the page. */
export function toastProblem(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  put([
    ...toasts.slice(-2),
    { id: ++last, text, tone: "bad", requestId: error instanceof ApiError ? error.requestId : undefined },
  ]);
}

/** Where toasts appear; once, in the shell. */
export function Toasts() {
  const { t } = useTranslation();
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    // They keep off buttons at the bottom: a panel's, a dialog's, a bar's.
    <section
      aria-label={t("toast.region")}
      aria-live="polite"
      data-toasts
      className="pointer-events-none fixed right-4 bottom-4 left-4 z-60 flex flex-col items-end gap-2 [:root:has([data-modal],[data-bar])_&]:bottom-20"
    >
      {shown.map((one) => (
        <ToastCard key={one.id} toast={one} />
      ))}
    </section>
  );
}

function ToastCard({ toast: { id, text, tone, requestId, action } }: { toast: Toast }) {
  const { t } = useTranslation();
  const close = () => put(toasts.filter((one) => one.id !== id));
  useEffect(() => {
    const timer = setTimeout(
      () => put(toasts.filter((one) => one.id !== id)),
      tone === "bad" || action ? 10_000 : 5_000,
    );
    return () => clearTimeout(timer);
  }, [id, tone, action]);
  const Icon = tone === "good" ? CircleCheck : CircleAlert;
  return (
    <div className="pointer-events-auto flex w-full max-w-96 animate-in items-start gap-2.5 rounded-lg border bg-raised py-2 pr-1.5 pl-3 text-sm shadow-pop">
      <Icon aria-hidden className={`mt-1.5 size-4 shrink-0 ${tone === "good" ? "text-good" : "text-bad"}`} />
      <div className="min-w-0 flex-1 py-1">
        <p className="break-words">{text}</p>
        {requestId && (
          <p className="text-xs text-soft">
            {t("problem.request")} <code className="font-mono">{requestId}</code>
          </p>
        )}
      </div>
      {action && (
        <Button
          size="small"
          className="mt-0.5"
          onClick={() => {
            action.run();
            close();
          }}
        >
          {action.label}
        </Button>
      )}
      <IconButton label={t("action.close")} onClick={close} className="size-8!">
        <X aria-hidden className="size-4" />
      </IconButton>
    </div>
  );
}
