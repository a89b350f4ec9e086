import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { ShieldOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/ui/button";
import { Problem } from "@/ui/problem";
import { Empty } from "@/ui/states";
import { PageNotLoaded, reopen } from "./lazy-page";

/** What is shown in the place of a screen that has failed; the shell stays. */
export function RouteError({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const { t } = useTranslation();
  const [outdated, setOutdated] = useState(false);
  useEffect(() => {
    // After an update the server no longer has the files of the page that is open.
    setOutdated(error instanceof Error && /dynamically imported module|module script/i.test(error.message));
  }, [error]);
  if (outdated) {
    return (
      <Empty
        title={t("problem.outdated")}
        action={<Button onClick={() => window.location.reload()}>{t("action.reload")}</Button>}
      >
        {t("problem.outdatedHelp")}
      </Empty>
    );
  }
  return (
    <Problem
      large
      error={error}
      retry={() => {
        if (error instanceof PageNotLoaded) return void reopen();
        reset();
        void router.invalidate();
      }}
    />
  );
}

/** There is no such page. */
export function NotFound() {
  const { t } = useTranslation();
  return (
    <Empty
      title={t("notFound.title")}
      action={
        <Button asChild>
          <Link to="/">{t("notFound.home")}</Link>
        </Button>
      }
    >
      {t("notFound.help")}
    </Empty>
  );
}

/** The page is for administrators, and the viewer is none. */
export function AdminsOnly() {
  const { t } = useTranslation();
  return (
    <Empty
      title={
        <span className="flex flex-col items-center gap-2">
          <ShieldOff aria-hidden className="size-5 text-soft" />
          {t("adminsOnly.title")}
        </span>
      }
    >
      {t("adminsOnly.help")}
    </Empty>
  );
}
