import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import type { Schemas } from "@/api/client";
import { changeViewer } from "@/api/queries";
import { session } from "@/app/session";

/** Where to go after signing in: an address of this console, never of another site. */
export function destination(from: string | undefined): string {
  if (!from?.startsWith("/")) return "/";
  // Browsers read //host and /\host as another site.
  return /^\/[/\\]/.test(from) ? "/" : from;
}

/** Takes in who has just signed in, and goes where they wanted to go. */
export function useArrival(from: string | undefined): (user: Schemas["User"]) => void {
  const router = useRouter();
  const queries = useQueryClient();
  return (user) => {
    session.set(true);
    changeViewer(queries, user);
    router.history.push(destination(from));
  };
}
