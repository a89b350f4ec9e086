import { type ReactNode, useEffect } from "react";
import { cx } from "./cx";

interface PageProps {
  title: string;
  /** Shown in place of the title, when that is more than text. */
  heading?: ReactNode;
  description?: ReactNode;
  /** Above the title: where this page hangs. */
  above?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A screen: its title (the window's, too), its actions, its content. */
export function Page({ title, heading, description, above, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Halley`;
  }, [title]);
  return (
    <div className="mx-auto w-full max-w-[90rem] px-4 pt-5 pb-16 sm:px-6">
      {above && <div className="mb-1 text-sm text-soft">{above}</div>}
      <div className="mb-5 flex flex-wrap items-start justify-between gap-x-4 gap-y-3">
        <div className="min-w-0">
          <h1
            tabIndex={-1}
            className="min-h-8 content-center text-xl font-semibold tracking-tight break-words outline-none max-sm:min-h-10"
          >
            {heading ?? title}
          </h1>
          {description && <p className="max-w-prose text-sm text-soft">{description}</p>}
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** A part of a page with a title of its own. */
export function Card({
  title,
  actions,
  children,
  className,
  flush,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  className?: string;
  flush?: boolean;
}) {
  return (
    <section className={cx("min-w-0 rounded-lg border bg-canvas", className)}>
      {title !== undefined && (
        <div className="flex min-h-11 flex-wrap items-center justify-between gap-2 border-b px-4 py-1.5">
          <h2 className="text-sm font-medium">{title}</h2>
          {actions}
        </div>
      )}
      <div className={flush ? "" : "p-4"}>{children}</div>
    </section>
  );
}

/** Facts as pairs of a name and a value. */
export function Facts({
  items,
  className,
}: {
  items: readonly { label: ReactNode; value: ReactNode }[];
  className?: string;
}) {
  return (
    <dl className={cx("grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-6 gap-y-2 text-sm", className)}>
      {items.map((item, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: facts do not move
        <div key={i} className="contents">
          <dt className="text-soft">{item.label}</dt>
          <dd className="min-w-0 break-words">{item.value}</dd>
        </div>
      ))}
    </dl>
  );
}
