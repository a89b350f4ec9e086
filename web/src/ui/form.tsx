import { type ComponentProps, useEffect, useRef, useState } from "react";

interface Props extends ComponentProps<"form"> {
  /** Why what was sent is refused; null and undefined when it is not. */
  error: unknown;
}

/**
 * A form that leads to what is wrong with it: the first field at fault or, where there is none, the message.
 * It is not sent while a field of several values holds a text that can be none of them: an address that
 * was mistyped would else be left out, and what it was to restrict would be open.
 */
export function Form({ error, onSubmit, ...rest }: Props) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error === null || error === undefined) return;
    const frame = requestAnimationFrame(() => {
      const field = form.current?.querySelector<HTMLElement>("[aria-invalid=true]");
      // In a choice among few it is the chosen one that takes the focus.
      (field?.querySelector<HTMLElement>("[aria-checked=true]") ?? field)?.focus({ preventScroll: true });
      (field ?? form.current?.querySelector("[role=alert]"))?.scrollIntoView({ block: "center" }); // with its label
    });
    return () => cancelAnimationFrame(frame);
  }, [error]);
  return (
    <form
      ref={form}
      {...rest}
      onSubmit={(event) => {
        const unfit = event.currentTarget.querySelector<HTMLElement>("[data-unfit]");
        if (!unfit) return onSubmit?.(event);
        event.preventDefault();
        unfit.focus();
      }}
    />
  );
}

/**
 * What a form was filled with. The page reads it anew meanwhile; compared to that, or sent with its newer version, the
 * form would take back what somebody else has changed.
 */
export function useAsFilled<Of>(current: Of): Of {
  const [filled] = useState(current);
  return filled;
}

/** Leads to the first field that says itself what is wrong with it. */
export function focusWrong(form: HTMLFormElement): void {
  form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
}
