import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { UserRound } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "@/api/client";
import { administers, selfQuery } from "@/api/queries";
import { userQuery } from "@/screens/users/queries";

/** The user of an address or a record, unless that is the viewer. */
export function useOther(user: number | undefined): number | undefined {
  const { data: self } = useSuspenseQuery(selfQuery);
  return user === self?.id ? undefined : user;
}

/** Who somebody else is, and whether the viewer may change their keys. */
export function useOwner(other: number | undefined): { owner: Schemas["User"] | undefined; mayChange: boolean } {
  const { data: self } = useSuspenseQuery(selfQuery);
  const admin = administers(self);
  const { data: owner } = useQuery({
    ...userQuery(other ?? 0),
    enabled: admin && other !== undefined,
    placeholderData: undefined,
  });
  if (other === undefined) return { owner: undefined, mayChange: true };
  // The server keeps to it, too: what is done for an administrator takes root.
  return { owner, mayChange: self?.role === "root" || owner?.role === "user" };
}

/** Says whose keys these are, where they are not the viewer's. */
export function OwnerNote({ owner, mayChange }: ReturnType<typeof useOwner>) {
  const { t } = useTranslation("keys");
  if (!owner) return null;
  return (
    <div
      role="note"
      className="mb-4 flex flex-wrap items-center gap-x-4 gap-y-1 rounded-md bg-accent-soft px-3 py-2 text-sm"
    >
      <p className="flex min-w-0 flex-1 items-start gap-2">
        <UserRound aria-hidden className="mt-0.5 size-4 shrink-0 text-accent" />
        <span className="min-w-0 break-words">
          {t(mayChange ? "owner.whose" : "owner.whoseRootOnly", { name: owner.username })}
        </span>
      </p>
      <span className="flex gap-4">
        <Link
          to="/users/$id"
          params={{ id: String(owner.id) }}
          className="rounded font-medium text-accent hover:underline"
        >
          {t("owner.open")}
        </Link>
        <Link to="/keys" className="rounded font-medium text-accent hover:underline">
          {t("owner.own")}
        </Link>
      </span>
    </div>
  );
}
