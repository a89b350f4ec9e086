import { useTranslation } from "react-i18next";
import { refusalOf } from "./providers";

/** Why an identity provider did not vouch for the viewer, as the address that it led back to says. */
export function NotVouched({ error, requestID }: { error: string | undefined; requestID: string | undefined }) {
  const { t } = useTranslation("sign-in");
  const { t: common } = useTranslation();
  if (!error) return null;
  return (
    <div role="alert" className="mb-4 rounded-md bg-bad-soft px-3 py-2.5 text-sm text-bad">
      <p>{t(`provider.${refusalOf(error)}`)}</p>
      {requestID && (
        <p className="mt-0.5 text-xs">
          {common("problem.request")} <code className="font-mono">{requestID}</code>
        </p>
      )}
    </div>
  );
}
