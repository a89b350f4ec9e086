import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { selfQuery } from "@/api/queries";
import { session } from "@/app/session";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { PasswordInput } from "@/ui/password-input";
import { Refusal } from "./refusal";
import { useWait } from "./wait";

interface Props {
  user: Schemas["User"];
  /** The password that was just signed in with; asked for when it is not known. */
  given: string | undefined;
  onChosen: (user: Schemas["User"]) => void;
}

/** Who has a password that somebody else set chooses one before all else. */
export function ChoosePassword({ user, given, onChosen }: Props) {
  const { t } = useTranslation("sign-in");
  const queries = useQueryClient();
  const [old, setOld] = useState(given ?? "");
  const [password, setPassword] = useState("");
  const change = useMutation({
    mutationFn: () => data(api.PATCH("/api/user/self", { body: { password, old_password: old } })),
    onSuccess: onChosen,
  });
  const leave = useMutation({
    mutationFn: () => data(api.POST("/api/user/logout")),
    onSettled: () => {
      session.set(false);
      queries.setQueryData(selfQuery.queryKey, null);
    },
  });
  const wait = useWait(change.error);
  const oldRefused = errorOf(change.error, "old_password");
  const [asksOld] = useState(given === undefined);
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!change.isPending && wait === 0) change.mutate();
      }}
    >
      <p className="text-sm text-soft">{t("choose.help")}</p>
      {/* For password managers, which keep the new password under this name. */}
      <input type="text" name="username" autoComplete="username" value={user.username} readOnly hidden />
      {(asksOld || oldRefused) && (
        <Field label={t("choose.given")} error={oldRefused} required>
          <PasswordInput
            name="old-password"
            value={old}
            onChange={(event) => setOld(event.target.value)}
            autoComplete="current-password"
            autoFocus
            required
          />
        </Field>
      )}
      <Field
        label={t("choose.new")}
        help={t("passwordRule")}
        error={oldRefused ? undefined : errorOf(change.error, "password")}
        required
      >
        <PasswordInput
          name="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="new-password"
          minLength={8}
          autoFocus={!asksOld}
          required
        />
      </Field>
      <Refusal error={change.error} wait={wait} />
      <Button type="submit" look="primary" busy={change.isPending} disabled={wait > 0} className="h-9!">
        {t("choose.submit")}
      </Button>
      <Button look="quiet" busy={leave.isPending} onClick={() => leave.mutate()}>
        {t("choose.leave")}
      </Button>
    </form>
  );
}
