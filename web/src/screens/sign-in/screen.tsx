import { useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { selfQuery, statusQuery } from "@/api/queries";
import { Mark } from "@/app/mark";
import { languageChosen } from "@/app/preferences";
import { session } from "@/app/session";
import { LanguageMenu, ThemeMenu } from "@/app/shell";
import { speak } from "@/messages";
import { languageFor } from "@/messages/languages";
import { SignInForm } from "./form";
import { OtherWays } from "./other-ways";

const route = getRouteApi("/sign-in");

/** The page for those who are not signed in. */
export function SignInScreen() {
  const { t } = useTranslation("sign-in");
  const { from } = route.useSearch();
  const { data: status } = useSuspenseQuery(statusQuery);
  const router = useRouter();
  const queries = useQueryClient();
  useEffect(() => {
    document.title = `${t("title")} · Halley`;
  }, [t]);
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex justify-end gap-1 p-2">
        <LanguageMenu signedIn={false} />
        <ThemeMenu />
      </header>
      <main className="flex flex-1 justify-center px-4 pt-[9vh] pb-16">
        <div className="w-full max-w-80">
          <Mark className="mb-5 size-9" />
          <h1 className="mb-5 text-xl font-semibold tracking-tight">{t("title")}</h1>
          <SignInForm
            onSignedIn={(user) => {
              session.set(true);
              queries.setQueryData(selfQuery.queryKey, user);
              if (!languageChosen() && user.language) void speak(languageFor([user.language]));
              router.history.push(from?.startsWith("/") && !from.startsWith("//") ? from : "/");
            }}
          />
          <OtherWays methods={status.login_methods} />
        </div>
      </main>
    </div>
  );
}
