import { useQuery } from "@tanstack/react-query";
import { Problem } from "@/ui/problem";
import { PageLoading } from "@/ui/states";
import { Identities } from "./identities";
import { Passkeys } from "./passkeys";
import { ChangePassword } from "./password";
import { secondFactorQuery } from "./queries";
import { Sessions } from "./sessions";
import { TwoSteps } from "./two-steps";

/** How one's account is signed in to, and where it is. */
export function SecurityScreen() {
  const { data: factors, error, refetch } = useQuery(secondFactorQuery);
  if (error) return <Problem error={error} retry={() => void refetch()} large />;
  if (!factors) return <PageLoading />;
  return (
    <>
      <ChangePassword has={factors.has_password} />
      <TwoSteps factors={factors} />
      <Passkeys hasPassword={factors.has_password} />
      <Identities hasPassword={factors.has_password} />
      <Sessions />
    </>
  );
}
