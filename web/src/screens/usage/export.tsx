import { Download } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { useFormat } from "@/format/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Menu, MenuItem } from "@/ui/menu";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { type Exported, type FileFormat, type Progress, save } from "./download";

interface Props {
  title: string;
  /** How far it is, in words. */
  progress: (numbers: { records: string; total: string }) => string;
  run: (format: FileFormat, signal: AbortSignal, onProgress: (now: Progress) => void) => Promise<Exported>;
}

/** Fetches what the filters leave as a file, and shows how far it is. */
export function ExportMenu({ title, progress: inWords, run }: Props) {
  const { t } = useTranslation("usage");
  const { t: common } = useTranslation();
  const format = useFormat();
  const [progress, setProgress] = useState<Progress>();
  const [error, setError] = useState<unknown>();
  const [running, setRunning] = useState<FileFormat>();
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const stop = () => {
    abort.current?.abort();
    setRunning(undefined);
    setError(undefined);
    setProgress(undefined);
  };
  const start = async (file: FileFormat) => {
    const controller = new AbortController();
    abort.current = controller;
    setRunning(file);
    setError(undefined);
    setProgress(undefined);
    let told = 0;
    try {
      const exported = await run(file, controller.signal, (now) => {
        if (performance.now() - told < 100) return;
        told = performance.now();
        setProgress(now);
      });
      if (controller.signal.aborted) return;
      save(exported);
      setRunning(undefined);
      toast(t("export.done", { name: exported.name }));
    } catch (problem) {
      if (controller.signal.aborted) return;
      setError(
        problem instanceof ApiError
          ? problem
          : new ApiError(500, "broken_off", t("export.broken"), undefined, undefined),
      );
    }
  };
  const share = progress && progress.total > 0 ? progress.records / progress.total : 0;
  return (
    <>
      <Menu
        trigger={<Button icon={<Download aria-hidden className="size-3.5 text-soft" />}>{t("export.action")}</Button>}
      >
        <MenuItem onSelect={() => void start("csv")}>{t("export.csv")}</MenuItem>
        <MenuItem onSelect={() => void start("json")}>{t("export.json")}</MenuItem>
      </Menu>
      <Dialog
        open={running !== undefined}
        onOpenChange={(open) => !open && stop()}
        title={title}
        holds={error === undefined}
        footer={<Button onClick={stop}>{error ? common("action.close") : common("action.cancel")}</Button>}
      >
        {error ? (
          <Problem error={error} retry={() => running && void start(running)} />
        ) : (
          <div className="flex flex-col gap-2 text-sm">
            <progress aria-label={title} className="sr-only" value={share} max={1} />
            <svg aria-hidden viewBox="0 0 100 4" preserveAspectRatio="none" className="h-1.5 w-full rounded-full">
              <rect width="100" height="4" className="fill-hover" />
              <rect width={share * 100} height="4" className="fill-accent" />
            </svg>
            <p className="text-soft">
              {progress
                ? inWords({
                    records: format.number(progress.records),
                    total: format.number(progress.total),
                  })
                : t("export.starting")}
            </p>
          </div>
        )}
      </Dialog>
    </>
  );
}
