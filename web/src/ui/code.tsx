import { CopyButton } from "./copy";

/** Text to copy, as it is. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div className="group relative rounded-md border bg-sunken">
      <section
        // What scrolls must be reachable by keyboard.
        tabIndex={0}
        aria-label={label}
        className="thin-scrollbar overflow-x-auto py-2.5 pr-10 pl-3"
      >
        <pre className="font-mono text-xs leading-5">{text}</pre>
      </section>
      <CopyButton value={text} label={label} className="absolute top-1.5 right-1.5 bg-sunken" />
    </div>
  );
}
