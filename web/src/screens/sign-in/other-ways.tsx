import { useMutation } from "@tanstack/react-query";
import { Fingerprint } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { askPasskey, passkeysWork } from "@/app/passkey";
import { Button } from "@/ui/button";
import { adoptZone } from "./adopt-zone";
import { type LoginProvider, visitOf } from "./providers";
import { Refusal } from "./refusal";
import { useWait } from "./wait";

interface Props {
  methods: readonly string[];
  providers: readonly LoginProvider[];
  /** Where the viewer wanted to go. */
  from: string | undefined;
  onSignedIn: (user: Schemas["User"]) => void;
}

/** The ways in beside the password, as far as the server and this browser have them. */
export function OtherWays({ methods, providers, from, onSignedIn }: Props) {
  const { t } = useTranslation("sign-in");
  const passkey = methods.includes("passkey") && passkeysWork();
  if (!passkey && providers.length === 0) return null;
  return (
    <div className="mt-5 flex flex-col gap-2">
      {methods.includes("password") && (
        <p className="mb-1 flex items-center gap-3 text-xs text-faint before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
          {t("or")}
        </p>
      )}
      {providers.map((provider) => (
        <Button key={provider.name} asChild className="h-9!">
          <a href={visitOf(provider, from)}>
            <span className="truncate">{t("oidc", { name: provider.label })}</span>
          </a>
        </Button>
      ))}
      {passkey && <PasskeyButton onSignedIn={onSignedIn} />}
    </div>
  );
}

function PasskeyButton({ onSignedIn }: Pick<Props, "onSignedIn">) {
  const { t } = useTranslation("sign-in");
  const signIn = useMutation({
    mutationFn: async () => {
      const answer = await askPasskey(await data(api.POST("/api/user/login/passkey/begin")));
      return answer ? adoptZone(await data(api.POST("/api/user/login/passkey", { body: answer }))) : null;
    },
    onSuccess: (user) => user && onSignedIn(user),
  });
  const wait = useWait(signIn.error);
  return (
    <>
      <Button
        className="h-9!"
        busy={signIn.isPending}
        disabled={wait > 0}
        onClick={() => signIn.mutate()}
        icon={<Fingerprint aria-hidden className="size-4" />}
      >
        {t("passkey")}
      </Button>
      {signIn.data === null && (
        <p role="status" className="text-sm text-soft">
          {t("passkeyCalledOff")}
        </p>
      )}
      <Refusal error={signIn.error} wait={wait} />
    </>
  );
}
