import i18next from "i18next";
import type { Schemas } from "@/api/client";
import { speak } from "@/messages";
import { languageFor } from "@/messages/languages";
import { languageChosen } from "./preferences";

/** Speaks the language of who is signed in, unless one was chosen on this browser. */
export async function speakAs(user: Schemas["User"]): Promise<void> {
  if (languageChosen() || !user.language) return;
  const language = languageFor([user.language]);
  if (language !== i18next.language) await speak(language);
}
