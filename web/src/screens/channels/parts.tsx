import { ChevronRight, Plus, X } from "lucide-react";
import type { ReactNode } from "react";
import { Button, IconButton } from "@/ui/button";
import { cx } from "@/ui/cx";

/** Rows of a form that can be added and taken away. */
export function Rows({
  rows,
  add,
  onAdd,
  onRemove,
  removeLabel,
}: {
  rows: readonly ReactNode[];
  add: string;
  onAdd: () => void;
  onRemove: (index: number) => void;
  removeLabel: string;
}) {
  return (
    <div className="flex flex-col gap-1.5">
      {rows.map((row, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
        <div key={i} className={cx("flex items-start gap-1.5", i > 0 && "max-sm:border-t max-sm:pt-1.5")}>
          {row}
          <IconButton label={removeLabel} onClick={() => onRemove(i)}>
            <X aria-hidden className="size-3.5" />
          </IconButton>
        </div>
      ))}
      <Button size="small" className="self-start" onClick={onAdd} icon={<Plus aria-hidden className="size-3.5" />}>
        {add}
      </Button>
    </div>
  );
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="flex flex-col gap-4">
      <h3 className="border-b pb-1.5 text-sm font-semibold">{title}</h3>
      {children}
    </section>
  );
}

/** What most leave alone, folded. */
export function More({
  title,
  count,
  open,
  children,
}: {
  title: string;
  count?: number;
  open: boolean;
  children: ReactNode;
}) {
  return (
    <details className="group" {...(open ? { open: true } : {})}>
      <summary className="flex h-10 list-none items-center gap-2 text-sm font-medium [&::-webkit-details-marker]:hidden">
        <ChevronRight aria-hidden className="size-3.5 text-soft group-open:rotate-90" />
        {title}
        {count ? <span className="text-xs font-normal text-soft">{count}</span> : null}
      </summary>
      <div className="flex flex-col gap-4 pt-1 pb-5">{children}</div>
    </details>
  );
}
