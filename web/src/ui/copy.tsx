import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { cx } from "./cx";

interface Props {
  value: string;
  /** What is copied, for those who do not see the icon. */
  label?: string;
  /** Shown beside the icon. */
  text?: string;
  small?: boolean;
  className?: string;
}

export function CopyButton({ value, label, text, small, className }: Props) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  const size = small ? "size-3" : "size-3.5";
  const name = copied ? t("copy.done") : (label ?? t("copy.action"));
  return (
    <button
      type="button"
      title={name}
      aria-label={text ? undefined : name}
      onClick={async () => setCopied(await copy(value))}
      className={cx(
        "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md hover:bg-hover",
        text
          ? "h-8 border border-edge/60 bg-raised px-3 text-sm font-medium text-ink"
          : small
            ? "size-6 text-soft hover:text-ink"
            : "size-7 text-soft hover:text-ink max-sm:size-9",
        className,
      )}
    >
      {copied ? <Check aria-hidden className={cx(size, "text-good")} /> : <Copy aria-hidden className={size} />}
      {text && <span>{copied ? t("copy.done") : text}</span>}
      <span role="status" className="sr-only">
        {copied ? t("copy.done") : ""}
      </span>
    </button>
  );
}

/** Puts text on the clipboard; on plain HTTP browsers offer only the old way. */
export async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // not allowed just now: the old way may be
    }
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "fixed top-0 left-0 opacity-0";
  const host = document.querySelector("[role=dialog]") ?? document.body; // a dialog keeps the focus inside
  host.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
