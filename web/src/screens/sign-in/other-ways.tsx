import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

/**
 * A way in beside the password. The server names in login_methods what it
 * offers; a way that this console knows shows a button for it.
 */
export interface Way {
  /** As the server calls it. */
  method: string;
  button: () => ReactNode;
}

/** Ways beside the password, in the order in which they are shown. */
export const ways: readonly Way[] = [];

export function OtherWays({ methods }: { methods: readonly string[] }) {
  const { t } = useTranslation("sign-in");
  const offered = ways.filter((way) => methods.includes(way.method));
  if (offered.length === 0) return null;
  return (
    <div className="mt-5 flex flex-col gap-2">
      <p className="flex items-center gap-3 text-xs text-faint before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
        {t("or")}
      </p>
      {offered.map((way) => (
        <way.button key={way.method} />
      ))}
    </div>
  );
}
