import { Plus, X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { errorOf } from "@/api/error";
import { Button, IconButton } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";
import { type LimitsForm, limitGood, type ModelLine, rates } from "./limits";

interface Props {
  value: LimitsForm;
  onChange: (value: LimitsForm) => void;
  /** The refusal of the form around it. */
  error: unknown;
}

/** Rates, for all models together and for some of them. */
export function LimitFields({ value, onChange, error }: Props) {
  const { t } = useTranslation("limits");
  const { t: common } = useTranslation();
  const line = (at: number, to: Partial<ModelLine>) =>
    onChange({ ...value, models: value.models.map((one, i) => (i === at ? { ...one, ...to } : one)) });
  return (
    <>
      <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
        {rates.map((rate) => (
          <Field
            key={rate}
            label={t(rate)}
            error={limitGood(value.rates[rate]) ? errorOf(error, `limits.${rate}`) : t("wrong")}
          >
            <Input
              inputMode="numeric"
              placeholder={t("none")}
              value={value.rates[rate]}
              onChange={(event) => onChange({ ...value, rates: { ...value.rates, [rate]: event.target.value } })}
            />
          </Field>
        ))}
      </div>
      <Field
        label={t("perModel")}
        help={t("perModelHelp")}
        error={
          value.models.every((one) => limitGood(one.rpm) && limitGood(one.tpm))
            ? errorOf(error, "limits.per_model")
            : t("wrong")
        }
        group
      >
        {value.models.map((one, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place
          <div key={i} className="flex items-center gap-1.5">
            <Input
              aria-label={t("model")}
              placeholder="gpt-5*"
              value={one.model}
              onChange={(event) => line(i, { model: event.target.value })}
            />
            <Input
              aria-label={t("rpm")}
              aria-invalid={!limitGood(one.rpm) || undefined}
              placeholder={t("rpmShort")}
              inputMode="numeric"
              value={one.rpm}
              onChange={(event) => line(i, { rpm: event.target.value })}
            />
            <Input
              aria-label={t("tpm")}
              aria-invalid={!limitGood(one.tpm) || undefined}
              placeholder={t("tpmShort")}
              inputMode="numeric"
              value={one.tpm}
              onChange={(event) => line(i, { tpm: event.target.value })}
            />
            <IconButton
              label={common("action.remove")}
              onClick={() => onChange({ ...value, models: value.models.filter((_, at) => at !== i) })}
            >
              <X aria-hidden className="size-3.5" />
            </IconButton>
          </div>
        ))}
        <Button
          size="small"
          className="self-start"
          icon={<Plus aria-hidden className="size-3.5" />}
          onClick={() =>
            onChange({
              ...value,
              models: [...value.models, { model: "", rpm: "", tpm: "", rest: { tpm_input: null, tpm_output: null } }],
            })
          }
        >
          {t("addModel")}
        </Button>
      </Field>
    </>
  );
}
