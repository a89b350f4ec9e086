import { useState } from "react";
import { useTranslation } from "react-i18next";
import { allZones, browserZone } from "@/format/zone";
import { Button } from "@/ui/button";
import { Combobox } from "@/ui/combobox";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  zone: string;
  onChange: (zone: string) => void;
}

/** The choice of the zone in which dates are shown and days begin. */
export function ZoneDialog({ open, onOpenChange, zone, onChange }: Props) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState(zone || browserZone());
  const zones = allZones();
  const known = zones.includes(chosen);
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title={t("zone.title")}
      footer={
        <>
          <Button onClick={() => onOpenChange(false)}>{t("action.cancel")}</Button>
          <Button
            look="primary"
            disabled={!known}
            onClick={() => {
              onChange(chosen);
              onOpenChange(false);
            }}
          >
            {t("action.save")}
          </Button>
        </>
      }
    >
      <div className="min-h-72">
        <Field label={t("zone.label")} help={t("zone.help", { zone: browserZone() })}>
          <Combobox options={zones} value={chosen} onChange={setChosen} />
        </Field>
      </div>
    </Dialog>
  );
}
