import { CopyButton } from "./copy";

/** Text to copy, as it is. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div className="flex items-start rounded-md border bg-sunken">
      <section
        // What scrolls must be reachable by keyboard.
        tabIndex={0}
        aria-label={label}
        className="thin-scrollbar min-w-0 flex-1 overflow-x-auto py-2.5 pl-3"
      >
        <pre className="font-mono text-xs leading-5">{text}</pre>
      </section>
      <CopyButton value={text} label={label} className="m-1.5" />
    </div>
  );
}
