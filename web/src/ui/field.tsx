import { createContext, type ReactNode, useContext, useId } from "react";
import { useTranslation } from "react-i18next";
import { cx } from "./cx";

interface FieldIds {
  id: string;
  labelId: string;
  describedBy: string | undefined;
  invalid: boolean;
  required: boolean;
}

const FieldContext = createContext<FieldIds | null>(null);

/** The attributes that tie a control to the Field around it. */
export function useFieldProps(own: { id?: string | undefined }) {
  const field = useContext(FieldContext);
  return {
    id: own.id ?? field?.id,
    "aria-describedby": field?.describedBy,
    "aria-invalid": field?.invalid || undefined,
    "aria-required": field?.required || undefined,
  };
}

/** The id of the label of the Field around a control that is no form element. */
export function useFieldLabel(): string | undefined {
  return useContext(FieldContext)?.labelId;
}

interface Props {
  label: ReactNode;
  help?: ReactNode;
  error?: string | undefined;
  required?: boolean;
  /** Shown at the end of the label's line. */
  aside?: ReactNode;
  /** For controls that are no form element, whose label is read but not clicked. */
  group?: boolean;
  className?: string;
  children: ReactNode;
}

/** A control with its label, what it means, and what is wrong with it. */
export function Field({ label, help, error, required = false, aside, group, className, children }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const helpId = `${id}-help`;
  const errorId = `${id}-error`;
  const labelId = `${id}-label`;
  const describedBy = [error && errorId, help && helpId].filter(Boolean).join(" ") || undefined;
  const text = (
    <>
      {label}
      {required && <span className="sr-only"> ({t("field.required")})</span>}
    </>
  );
  const labelClass = "text-sm font-medium text-ink";
  return (
    <div
      className={cx("flex flex-col gap-1.5", className)}
      {...(group ? { role: "group", "aria-labelledby": labelId, "aria-describedby": describedBy } : {})}
    >
      <div className="flex flex-wrap items-baseline justify-between gap-x-2">
        {group ? (
          <span id={labelId} className={labelClass}>
            {text}
          </span>
        ) : (
          <label id={labelId} htmlFor={id} className={labelClass}>
            {text}
          </label>
        )}
        {aside && <span className="text-xs text-faint">{aside}</span>}
      </div>
      <FieldContext value={{ id, labelId, describedBy, invalid: error !== undefined, required }}>
        {children}
      </FieldContext>
      {error && (
        <p id={errorId} className="text-xs text-bad">
          {error}
        </p>
      )}
      {help && (
        <p id={helpId} className="text-xs text-soft">
          {help}
        </p>
      )}
    </div>
  );
}
