import { useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { selfQuery, statusQuery } from "@/api/queries";
import { useArrival } from "./arrival";
import { ChoosePassword } from "./choose-password";
import { SignInForm } from "./form";
import { Frame } from "./frame";
import { NotVouched } from "./not-vouched";
import { OtherWays } from "./other-ways";

const route = getRouteApi("/sign-in");

/** The page for those who are not signed in, or have to choose a password first. */
export function SignInScreen() {
  const { t } = useTranslation("sign-in");
  const { from, error, request_id } = route.useSearch();
  const { data: status } = useSuspenseQuery(statusQuery);
  const { data: self } = useSuspenseQuery(selfQuery);
  const queries = useQueryClient();
  const arrive = useArrival(from);
  const [given, setGiven] = useState<string>();
  const [second, setSecond] = useState(false);
  const signedIn = (user: Schemas["User"], password?: string) => {
    setGiven(password);
    if (user.must_change_password) queries.setQueryData(selfQuery.queryKey, user);
    else arrive(user);
  };
  if (self?.must_change_password) {
    return (
      <Frame title={t("choose.title")}>
        <ChoosePassword user={self} given={given} onChosen={arrive} />
      </Frame>
    );
  }
  const password = status.login_methods.includes("password");
  return (
    <Frame title={second ? t("second.title") : t("title")}>
      {!second && <NotVouched error={error} requestID={request_id} />}
      {password && <SignInForm onSignedIn={signedIn} onStep={setSecond} />}
      {!second && (
        <OtherWays
          methods={status.login_methods}
          providers={status.login_providers}
          from={from}
          onSignedIn={signedIn}
        />
      )}
      {!second && status.register_enabled && (
        <p className="mt-6 text-sm text-soft">
          {t("register.ask")}{" "}
          <Link
            to="/register"
            search={from ? { from } : {}}
            className="rounded text-accent underline underline-offset-2 hover:no-underline"
          >
            {t("register.link")}
          </Link>
        </p>
      )}
    </Frame>
  );
}
