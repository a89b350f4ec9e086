import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { NotVouched } from "@/screens/sign-in/not-vouched";
import { Problem } from "@/ui/problem";
import { PageLoading } from "@/ui/states";
import { Identities } from "./identities";
import { Passkeys } from "./passkeys";
import { ChangePassword } from "./password";
import { secondFactorQuery } from "./queries";
import { Sessions } from "./sessions";
import { TwoSteps } from "./two-steps";

const route = getRouteApi("/app/settings/security");

/** How one's account is signed in to, and where it is. */
export function SecurityScreen() {
  const { data: factors, error, refetch } = useQuery(secondFactorQuery);
  const { error: refused, request_id } = route.useSearch();
  if (error) return <Problem error={error} retry={() => void refetch()} large />;
  if (!factors) return <PageLoading />;
  return (
    <>
      <NotVouched error={refused} requestID={request_id} />
      <ChangePassword has={factors.has_password} />
      <TwoSteps factors={factors} />
      <Passkeys hasPassword={factors.has_password} />
      <Identities hasPassword={factors.has_password} />
      <Sessions />
    </>
  );
}
