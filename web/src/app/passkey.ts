import type { Schemas } from "@/api/client";

type Ceremony = Schemas["Ceremony"];

/** Whether this browser can be asked for passkeys; only pages of a safe origin may. */
export function passkeysWork(): boolean {
  return (
    typeof window.PublicKeyCredential === "function" &&
    typeof window.PublicKeyCredential.parseRequestOptionsFromJSON === "function"
  );
}

/** Has the browser sign in with a passkey; undefined when the viewer has called it off. */
export async function askPasskey(ceremony: Ceremony): Promise<Schemas["AssertionBody"] | undefined> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    ceremony.options as unknown as PublicKeyCredentialRequestOptionsJSON,
  );
  return answer(ceremony, () => navigator.credentials.get({ publicKey }));
}

/** Has the browser make a passkey; undefined when the viewer has called it off. */
export async function makePasskey(ceremony: Ceremony): Promise<Schemas["AssertionBody"] | undefined> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    ceremony.options as unknown as PublicKeyCredentialCreationOptionsJSON,
  );
  return answer(ceremony, () => navigator.credentials.create({ publicKey }));
}

async function answer(
  { state }: Ceremony,
  ask: () => Promise<Credential | null>,
): Promise<Schemas["AssertionBody"] | undefined> {
  try {
    const credential = await ask();
    return credential instanceof PublicKeyCredential ? { state, credential: credential.toJSON() } : undefined;
  } catch (error) {
    // Browsers tell a call-off, and a wait that was too long, apart from nothing else.
    if (error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError"))
      return undefined;
    throw error;
  }
}
