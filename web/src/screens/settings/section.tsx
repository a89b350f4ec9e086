import { type ReactNode, useId } from "react";

interface Props {
  title: string;
  help?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Whether the content reaches the edges: tables and lists. */
  flush?: boolean;
}

/** A part of the settings: what it is about at the left, the controls at the right. */
export function Section({ title, help, actions, children, flush }: Props) {
  const id = useId();
  return (
    <section
      aria-labelledby={id}
      className="grid gap-x-8 gap-y-3 border-b py-7 first:pt-1 last:border-0 lg:grid-cols-[16rem_minmax(0,1fr)]"
    >
      <div>
        <h2 id={id} className="text-base font-semibold">
          {title}
        </h2>
        {help && <p className="mt-1 max-w-prose text-sm text-soft">{help}</p>}
        {actions && <div className="mt-3 flex flex-wrap gap-2">{actions}</div>}
      </div>
      <div className={`min-w-0 self-start rounded-lg border ${flush ? "" : "p-4"}`}>{children}</div>
    </section>
  );
}
