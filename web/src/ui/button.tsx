import { LoaderCircle } from "lucide-react";
import { Slot } from "radix-ui";
import type { ComponentProps, ReactNode } from "react";
import { cx } from "./cx";

const looks = {
  primary: "bg-accent-fill text-white hover:bg-accent-press border-transparent",
  secondary: "bg-raised text-ink hover:bg-hover border-edge/60",
  quiet: "text-soft hover:text-ink hover:bg-hover border-transparent",
  danger: "bg-bad-fill text-white hover:brightness-110 border-transparent",
};

interface Props extends ComponentProps<"button"> {
  look?: keyof typeof looks;
  size?: "small" | "normal";
  /** Shows that work is under way, and takes no second click. */
  busy?: boolean;
  icon?: ReactNode;
  /** Gives the look to the only child, such as a link. */
  asChild?: boolean;
}

export function Button({
  look = "secondary",
  size = "normal",
  busy,
  icon,
  asChild,
  className,
  children,
  ...rest
}: Props) {
  const classes = cx(
    "inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-md border font-medium",
    "disabled:opacity-50",
    size === "small" ? "h-7 px-2.5 text-xs" : "h-8 px-3 text-sm max-sm:h-10",
    looks[look],
    className,
  );
  if (asChild) {
    return (
      <Slot.Root className={classes} {...rest}>
        {children}
      </Slot.Root>
    );
  }
  return (
    <button
      type="button"
      {...rest}
      className={classes}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : rest.onClick}
    >
      {busy ? <LoaderCircle aria-hidden className="size-3.5 animate-spin" /> : icon}
      {children}
    </button>
  );
}

interface IconProps extends Omit<ComponentProps<"button">, "children"> {
  /** What it does, for those who do not see the icon. */
  label: string;
  children: ReactNode;
}

/** A button that is only an icon. */
export function IconButton({ label, className, children, ...rest }: IconProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...rest}
      className={cx(
        "inline-flex size-8 shrink-0 items-center justify-center rounded-md text-soft hover:bg-hover hover:text-ink disabled:opacity-40 max-sm:size-10",
        "aria-expanded:bg-hover data-[state=open]:bg-hover",
        className,
      )}
    >
      {children}
    </button>
  );
}
