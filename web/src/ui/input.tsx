import { ChevronDown } from "lucide-react";
import { type ComponentProps, type ReactNode, useId } from "react";
import { cx } from "./cx";
import { useFieldProps } from "./field";

export const controlClass = cx(
  "w-full rounded-md border border-edge bg-canvas px-2.5 text-sm text-ink",
  "hover:border-soft focus-visible:border-accent focus-visible:outline-1 focus-visible:outline-offset-0",
  "aria-invalid:border-bad disabled:bg-sunken disabled:text-faint disabled:border-line",
);

interface InputProps extends ComponentProps<"input"> {
  /** Shown inside, before and after what is typed. */
  lead?: ReactNode;
  trail?: ReactNode;
}

export function Input({ lead, trail, className, ...rest }: InputProps) {
  const input = (
    <input
      {...useFieldProps(rest)}
      {...rest}
      className={cx(controlClass, "h-8 max-sm:h-10", !!lead && "pl-8", !!trail && "pr-14", className)}
    />
  );
  if (!lead && !trail) return input;
  return (
    <span className="relative block">
      {lead && (
        <span
          aria-hidden
          className="pointer-events-none absolute inset-y-0 left-2.5 flex items-center text-sm text-faint"
        >
          {lead}
        </span>
      )}
      {input}
      {trail && <span className="absolute inset-y-0 right-2.5 flex items-center text-xs text-faint">{trail}</span>}
    </span>
  );
}

export function Textarea({ className, ...rest }: ComponentProps<"textarea">) {
  return <textarea rows={3} {...useFieldProps(rest)} {...rest} className={cx(controlClass, "py-1.5", className)} />;
}

interface SelectProps extends Omit<ComponentProps<"select">, "children"> {
  options: readonly { value: string; label: string; disabled?: boolean }[];
}

/** The platform's own select: it works by keyboard, by touch and for readers. */
export function Select({ options, className, ...rest }: SelectProps) {
  return (
    <span className={cx("relative block", className)}>
      <select {...useFieldProps(rest)} {...rest} className={cx(controlClass, "h-8 appearance-none pr-8 max-sm:h-10")}>
        {options.map(({ value, label, disabled }) => (
          <option key={value} value={value} disabled={disabled} className="bg-raised text-ink">
            {label}
          </option>
        ))}
      </select>
      <ChevronDown
        aria-hidden
        className="pointer-events-none absolute inset-y-0 right-2.5 my-auto size-3.5 text-soft"
      />
    </span>
  );
}

interface CheckProps extends Omit<ComponentProps<"input">, "type"> {
  label?: ReactNode;
  help?: ReactNode;
}

export function Checkbox({ label, help, className, ...rest }: CheckProps) {
  const own = useId();
  const id = rest.id ?? own;
  const box = <input type="checkbox" {...rest} id={id} className="size-4 shrink-0 accent-accent-fill" />;
  if (label === undefined) return box;
  return (
    <div className={cx("flex items-start gap-2 text-sm", className)}>
      <span className="flex h-5 items-center">{box}</span>
      <label htmlFor={id}>
        {label}
        {help && <span className="block text-xs text-soft">{help}</span>}
      </label>
    </div>
  );
}

interface SegmentsProps<Value extends string> {
  value: Value;
  onChange: (value: Value) => void;
  options: readonly { value: Value; label: ReactNode }[];
  /** The choice's name; the Field around it gives it otherwise. */
  label?: string;
  className?: string;
}

/** A choice among few, all of them in sight. */
export function Segments<Value extends string>({ value, onChange, options, label, className }: SegmentsProps<Value>) {
  const { id, "aria-invalid": invalid } = useFieldProps({});
  return (
    <div
      role="radiogroup"
      aria-label={label}
      aria-invalid={invalid}
      className={cx(
        "inline-flex w-fit max-w-full flex-wrap rounded-md border border-edge/60 bg-hover p-0.5",
        className,
      )}
    >
      {options.map((option, i) => (
        <button
          key={option.value}
          id={i === 0 ? id : undefined}
          type="button"
          role="radio"
          aria-checked={option.value === value}
          tabIndex={option.value === value ? 0 : -1}
          onClick={() => onChange(option.value)}
          onKeyDown={(event) => {
            const step =
              event.key === "ArrowRight" || event.key === "ArrowDown"
                ? 1
                : event.key === "ArrowLeft" || event.key === "ArrowUp"
                  ? -1
                  : 0;
            if (step === 0) return;
            event.preventDefault();
            const next = options[(i + step + options.length) % options.length];
            if (!next) return;
            onChange(next.value);
            const buttons = event.currentTarget.parentElement?.querySelectorAll("button");
            buttons?.[(i + step + options.length) % options.length]?.focus();
          }}
          className={cx(
            "h-6 whitespace-nowrap rounded-sm px-2.5 text-xs font-medium max-sm:h-8",
            option.value === value
              ? "bg-canvas text-ink shadow-[0_0_0_1px_var(--color-edge)]"
              : "text-soft hover:text-ink",
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
