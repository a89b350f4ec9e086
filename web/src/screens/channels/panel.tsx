import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { Button } from "@/ui/button";
import { SidePanel } from "@/ui/dialog";
import { ChannelFields } from "./fields";
import type { Saved } from "./form";
import { PresetPicker } from "./preset-picker";
import type { Preset } from "./queries";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** The channel to change; a new one without it. */
  channel?: Saved | undefined;
  onSaved?: (channel: Schemas["Channel"]) => void;
}

/** Makes or changes a channel. */
export function ChannelPanel({ open, onOpenChange, channel, onSaved }: Props) {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const [preset, setPreset] = useState<Preset | "own">();
  const close = () => {
    setPreset(undefined);
    onOpenChange(false);
  };
  const picking = !channel && preset === undefined;
  return (
    <SidePanel
      open={open}
      onOpenChange={(to) => (to ? onOpenChange(true) : close())}
      wide
      holds
      title={channel ? t("edit.title", { name: channel.name }) : t("new.title")}
      description={picking ? t("new.help") : undefined}
      {...(picking ? { footer: <Button onClick={close}>{common("action.cancel")}</Button> } : {})}
    >
      {open &&
        (picking ? (
          <PresetPicker onPick={setPreset} />
        ) : (
          <ChannelFields
            key={channel?.id ?? (preset === "own" ? "own" : preset?.id)}
            channel={channel}
            preset={preset === "own" ? undefined : preset}
            onBack={channel ? undefined : () => setPreset(undefined)}
            onDone={(saved) => {
              close();
              onSaved?.(saved);
            }}
            onCancel={close}
          />
        ))}
    </SidePanel>
  );
}
