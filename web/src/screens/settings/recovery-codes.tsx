import { Download } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Checkbox } from "@/ui/input";

/** New recovery codes, which are shown this once. */
export function RecoveryCodes({ codes, onDone }: { codes: readonly string[]; onDone: () => void }) {
  const { t } = useTranslation("settings");
  const [kept, setKept] = useState(false);
  const text = codes.join("\n");
  return (
    <Dialog
      open
      holds
      onOpenChange={() => {}}
      title={t("codes.title")}
      description={t("codes.help")}
      footer={
        <Button look="primary" disabled={!kept} onClick={onDone}>
          {t("codes.done")}
        </Button>
      }
    >
      <ul
        aria-label={t("codes.title")}
        data-testid="recovery-codes"
        className="grid grid-cols-2 gap-x-6 gap-y-1.5 rounded-md border bg-sunken px-4 py-3 font-mono text-sm"
      >
        {codes.map((code) => (
          <li key={code} className="whitespace-nowrap">
            {code}
          </li>
        ))}
      </ul>
      <div className="mt-3 flex flex-wrap gap-2">
        <CopyButton value={text} text={t("codes.copy")} />
        <Button icon={<Download aria-hidden className="size-3.5" />} onClick={() => save(`${text}\n`)}>
          {t("codes.download")}
        </Button>
      </div>
      <Checkbox
        className="mt-4"
        label={t("codes.kept")}
        checked={kept}
        onChange={(event) => setKept(event.target.checked)}
      />
    </Dialog>
  );
}

function save(text: string) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "halley-recovery-codes.txt";
  link.click();
  URL.revokeObjectURL(url);
}
