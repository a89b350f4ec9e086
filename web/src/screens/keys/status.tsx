import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { Badge, type Tone } from "@/ui/badge";

const tones: Record<Schemas["Key"]["status"], Tone> = { 1: "good", 2: "plain", 3: "warn", 4: "bad" };

/** What is true of a key now. */
export function KeyStatus({ status }: { status: Schemas["Key"]["status"] }) {
  const { t } = useTranslation("keys");
  return <Badge tone={tones[status]}>{t(`status.${status}`)}</Badge>;
}

/** A value as it may stand on a screen that others see: its ends. */
export function masked(value: string): string {
  return value.includes("…") ? value : `${value.slice(0, 7)}…${value.slice(-4)}`;
}

/** Whether requests were made with a key. The server's accessed_time begins as that of its making. */
export function wasUsed(key: Schemas["Key"]): boolean {
  return key.accessed_time > key.created_time || key.used_quota > 0;
}
