import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { usableModelsQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { Code } from "@/ui/code";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Segments } from "@/ui/input";
import { fits } from "./bounds";
import { useOther } from "./owner";
import { type Client, clients, snippet } from "./snippets";

/** Shows a new value, and how to use it. It stays until it is closed on purpose. */
export function ValueDialog({ made, onClose }: { made: Schemas["Key"] | undefined; onClose: () => void }) {
  const { t } = useTranslation("keys");
  return (
    <Dialog
      open={made !== undefined}
      onOpenChange={onClose}
      holds
      wide
      title={t("value.title")}
      description={t("value.help")}
      footer={
        <Button look="primary" onClick={onClose}>
          {t("value.done")}
        </Button>
      }
    >
      {made && (
        <div className="flex flex-col gap-5">
          <div className="flex flex-wrap items-center gap-2 rounded-md border border-edge/60 bg-sunken py-1.5 pr-1.5 pl-3">
            <code className="min-w-0 flex-1 font-mono text-sm break-all" data-testid="key-value">
              {made.key}
            </code>
            <CopyButton value={made.key} text={t("value.copy")} />
          </div>
          <Snippets of={made} />
        </div>
      )}
    </Dialog>
  );
}

/** How to use a key from the usual clients. */
export function Snippets({ of }: { of: Schemas["Key"] }) {
  const { t } = useTranslation("keys");
  const { data: models = [] } = useQuery(usableModelsQuery(useOther(of.user_id)));
  const [client, setClient] = useState<Client>("curl");
  const text = snippet(client, { origin: window.location.origin, key: of.key, model: modelFor(of, models) });
  return (
    <div className="flex min-w-0 flex-col gap-2">
      <h3 className="text-sm font-medium">{t("value.use")}</h3>
      <Segments
        value={client}
        onChange={setClient}
        label={t("value.client")}
        options={clients.map((value) => ({ value, label: value }))}
      />
      <Code text={text} label={client} />
    </div>
  );
}

/** A model that the key may call, to stand in an example; of the demo's the one that answers. */
export function modelFor(key: Schemas["Key"], offered: readonly string[]): string {
  const models = offered.toSorted((a, b) => Number(b === "demo-echo") - Number(a === "demo-echo"));
  if (!key.model_limits_enabled) return models[0] ?? "MODEL";
  const patterns = key.model_limits.split(",").filter(Boolean);
  const exact = patterns.find((pattern) => !pattern.includes("*"));
  if (exact) return exact;
  return models.find((model) => patterns.some((pattern) => fits(pattern, model))) ?? "MODEL";
}
