import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { Badge, type Tone } from "@/ui/badge";

const tones: Record<Schemas["Key"]["status"], Tone> = { 1: "good", 2: "plain", 3: "warn", 4: "bad" };

/** What is true of a key now. */
export function KeyStatus({ status }: { status: Schemas["Key"]["status"] }) {
  const { t } = useTranslation("keys");
  return <Badge tone={tones[status]}>{t(`status.${status}`)}</Badge>;
}
