import { X } from "lucide-react";
import { type KeyboardEvent, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { cx } from "./cx";
import { useFieldLabel, useFieldProps } from "./field";
import { controlClass } from "./input";

interface Option {
  value: string;
  label?: string;
  note?: string;
}

interface Props {
  options: readonly (Option | string)[];
  placeholder?: string;
  "aria-label"?: string;
  disabled?: boolean;
}

interface SingleProps extends Props {
  value: string;
  onChange: (value: string) => void;
  /** Whether what is typed counts although no option says it. */
  free?: boolean;
  /** Told what is typed, where the options come from the server. */
  onText?: (text: string) => void;
}

interface ManyProps extends Props {
  values: readonly string[];
  onChange: (values: string[]) => void;
  /** Why a typed value does not count; undefined when it does. */
  check?: (value: string) => string | undefined;
  /** How to speak of a typed value that no option says, such as a pattern. */
  noteFor?: (value: string) => string | undefined;
}

const listClass =
  "thin-scrollbar absolute inset-x-0 top-full z-30 mt-1 max-h-60 overflow-y-auto rounded-lg border bg-raised p-1 shadow-pop";
const most = 100; // options shown at once: more than anybody reads

function matching(options: readonly (Option | string)[], text: string): Option[] {
  const words = text.trim().toLowerCase().split(/\s+/);
  const found: Option[] = [];
  for (const raw of options) {
    const option = typeof raw === "string" ? { value: raw } : raw;
    const hay = `${option.value} ${option.label ?? ""}`.toLowerCase();
    if (words.every((word) => hay.includes(word))) found.push(option);
    if (found.length === most) break;
  }
  return found;
}

/** The list's keyboard: arrows move, Enter takes, Escape closes only the list. */
function useList(count: number, take: (index: number) => void) {
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // the key chooses a character
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      setAt((now) => (count === 0 ? -1 : (now + (event.key === "ArrowDown" ? 1 : now < 0 ? 0 : -1) + count) % count));
    } else if (event.key === "Enter" && open && at >= 0 && at < count) {
      event.preventDefault();
      take(at);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
    }
  };
  return { open, setOpen, at, setAt, onKeyDown };
}

function Options({
  id,
  options,
  at,
  labelId,
  label,
  onTake,
  isChosen,
}: {
  id: string;
  options: Option[];
  at: number;
  labelId: string | undefined;
  label: string | undefined;
  onTake: (index: number) => void;
  isChosen: (value: string) => boolean;
}) {
  const { t } = useTranslation();
  return (
    <div
      id={id}
      role="listbox"
      aria-labelledby={labelId}
      aria-label={label ?? (labelId ? undefined : t("combobox.options"))}
      className={listClass}
    >
      {options.map((option, i) => (
        // biome-ignore lint/a11y/useKeyWithClickEvents: as above
        <div
          key={option.value}
          id={`${id}-${i}`}
          role="option"
          aria-selected={isChosen(option.value)}
          ref={i === at ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onTake(i)}
          className={cx(
            "flex min-h-8 items-center justify-between gap-3 rounded px-2 text-sm hover:bg-hover",
            i === at && "bg-hover",
            isChosen(option.value) && "font-medium text-accent",
          )}
        >
          <span className="min-w-0 break-all">{option.label ?? option.value}</span>
          {option.note && <span className="shrink-0 text-xs text-faint">{option.note}</span>}
        </div>
      ))}
    </div>
  );
}

/** One of many options, found by typing. */
export function Combobox({ options, value, onChange, free, onText, placeholder, disabled, ...rest }: SingleProps) {
  const id = useId();
  const field = useFieldProps({});
  const labelId = useFieldLabel();
  const [text, setText] = useState<string>();
  const labelOf = (of: string) => {
    const option = options.find((one) => (typeof one === "string" ? one : one.value) === of);
    return typeof option === "object" ? (option.label ?? option.value) : of;
  };
  const found = matching(options, text ?? "");
  const take = (index: number) => {
    const option = found[index];
    if (option) onChange(option.value);
    setText(undefined);
    list.setOpen(false);
  };
  const list = useList(found.length, take);
  const shown = list.open && found.length > 0;
  return (
    <div className="relative">
      <input
        {...field}
        role="combobox"
        aria-expanded={shown}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={shown && list.at >= 0 ? `${id}-list-${list.at}` : undefined}
        aria-label={rest["aria-label"]}
        disabled={disabled}
        autoComplete="off"
        spellCheck={false}
        placeholder={placeholder}
        className={cx(controlClass, "h-8 max-sm:h-10")}
        value={text ?? labelOf(value)}
        onFocus={(event) => event.target.select()}
        onClick={() => list.setOpen(true)}
        onChange={(event) => {
          setText(event.target.value);
          list.setAt(event.target.value ? 0 : -1);
          list.setOpen(true);
          onText?.(event.target.value);
          if (free || event.target.value === "") onChange(event.target.value);
        }}
        onBlur={() => {
          setText(undefined);
          onText?.("");
          list.setOpen(false);
        }}
        onKeyDown={list.onKeyDown}
      />
      {shown && (
        <Options
          id={`${id}-list`}
          options={found}
          at={list.at}
          labelId={labelId}
          label={rest["aria-label"]}
          onTake={take}
          isChosen={(one) => one === value}
        />
      )}
    </div>
  );
}

/** Several values, from options or as typed: models with wildcards, addresses. */
export function TokenInput({ options, values, onChange, check, noteFor, placeholder, disabled, ...rest }: ManyProps) {
  const { t } = useTranslation();
  const id = useId();
  const field = useFieldProps({});
  const labelId = useFieldLabel();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const typed = text.trim();
  const wrong = typed === "" ? undefined : check?.(typed);
  const found = matching(
    options.filter((option) => !values.includes(typeof option === "string" ? option : option.value)),
    text,
  );
  if (typed && !wrong && !values.includes(typed) && !found.some((option) => option.value === typed)) {
    found.unshift({ value: typed, label: t("combobox.add", { value: typed }), note: noteFor?.(typed) ?? "" });
  }
  const add = (raw: readonly string[]) => {
    const good = raw.map((one) => one.trim()).filter((one) => one !== "" && check?.(one) === undefined);
    const bad = raw.map((one) => one.trim()).filter((one) => one !== "" && check?.(one) !== undefined);
    if (good.length > 0) onChange([...new Set([...values, ...good])]);
    setText(bad.join(" "));
    list.setAt(-1);
  };
  const take = (index: number) => {
    const option = found[index];
    if (option) add([option.value]);
    input.current?.focus();
  };
  const list = useList(found.length, take);
  const shown = list.open && found.length > 0 && !disabled;
  return (
    <div className="relative">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a click beside the field means the field */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard reaches the field itself */}
      <div
        onClick={() => input.current?.focus()}
        className={cx(
          controlClass,
          "flex min-h-8 cursor-text flex-wrap items-center gap-1 px-1.5 py-1 has-focus-visible:border-accent has-focus-visible:outline-1 has-focus-visible:outline-accent",
          (wrong || field["aria-invalid"]) && "border-bad",
        )}
      >
        {values.map((value) => (
          <span key={value} className="inline-flex max-w-full items-center rounded bg-hover pl-1.5 font-mono text-xs">
            <span className="min-w-0 break-all py-0.5">{value}</span>
            <button
              type="button"
              aria-label={t("combobox.remove", { value })}
              onClick={() => {
                onChange(values.filter((one) => one !== value));
                input.current?.focus();
              }}
              className="flex size-6 shrink-0 items-center justify-center rounded text-soft hover:text-ink"
            >
              <X aria-hidden className="size-3" />
            </button>
          </span>
        ))}
        <input
          {...field}
          ref={input}
          role="combobox"
          aria-expanded={shown}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={shown && list.at >= 0 ? `${id}-list-${list.at}` : undefined}
          aria-label={rest["aria-label"]}
          aria-invalid={wrong !== undefined || field["aria-invalid"]}
          data-unfit={wrong !== undefined || undefined}
          disabled={disabled}
          autoComplete="off"
          spellCheck={false}
          placeholder={values.length === 0 ? placeholder : undefined}
          className="h-6 min-w-24 flex-1 bg-transparent px-1 text-sm outline-none"
          value={text}
          onClick={() => list.setOpen(true)}
          onChange={(event) => {
            setText(event.target.value);
            list.setAt(-1);
            list.setOpen(true);
          }}
          onPaste={(event) => {
            const pasted = event.clipboardData.getData("text").split(/[\s,;]+/);
            if (pasted.length > 1) {
              event.preventDefault();
              add(pasted);
            }
          }}
          onBlur={() => {
            list.setOpen(false);
            add([text]);
          }}
          onKeyDown={(event) => {
            if (event.nativeEvent.isComposing) return; // the key chooses a character
            if (event.key === "Backspace" && text === "" && values.length > 0) {
              onChange(values.slice(0, -1));
            } else if (
              event.key === "," ||
              ((event.key === "Enter" || event.key === " ") && typed && (!list.open || list.at < 0))
            ) {
              event.preventDefault();
              add([text]);
            } else if (event.key === "Enter" && (!list.open || list.at < 0)) {
              return; // submits the form
            } else {
              list.onKeyDown(event);
            }
          }}
        />
      </div>
      {wrong && (
        <p role="alert" className="mt-1.5 text-xs text-bad">
          {wrong}
        </p>
      )}
      {shown && (
        <Options
          id={`${id}-list`}
          options={found}
          at={list.at}
          labelId={labelId}
          label={rest["aria-label"]}
          onTake={take}
          isChosen={() => false}
        />
      )}
    </div>
  );
}
