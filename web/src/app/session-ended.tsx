import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { changeViewer, selfQuery } from "@/api/queries";
import { SignInForm } from "@/screens/sign-in/form";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { session, useSessionEnded } from "./session";

/** Lets the viewer sign in again over the page, which keeps what was typed into it. */
export function SessionEnded() {
  const { t } = useTranslation();
  const ended = useSessionEnded();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const before = queries.getQueryData(selfQuery.queryKey);
  return (
    <Dialog open={ended} onOpenChange={() => {}} holds title={t("session.title")} description={t("session.help")}>
      {ended && (
        <div className="flex flex-col gap-3">
          <SignInForm
            username={before?.username ?? ""}
            onSignedIn={(user) => {
              const other = before !== undefined && before !== null && before.id !== user.id;
              session.set(true);
              queries.setQueryData(selfQuery.queryKey, user);
              session.settle(!other && !user.must_change_password);
              if (other || user.must_change_password)
                window.location.reload(); // what is on the page is somebody else's, or another page comes first
              else void queries.invalidateQueries();
            }}
          />
          <Button
            look="quiet"
            onClick={() => {
              const from = window.location.pathname + window.location.search;
              session.set(false);
              queries.setQueryData(selfQuery.queryKey, null);
              void navigate({ to: "/sign-in", search: { from } }).then(() => changeViewer(queries, null));
            }}
          >
            {t("session.leave")}
          </Button>
        </div>
      )}
    </Dialog>
  );
}
