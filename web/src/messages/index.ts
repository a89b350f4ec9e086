import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { type Language, languages } from "./languages";

export { type Language, languages };

// A language's catalogs are one chunk, loaded when it is chosen. A new catalog
// is a file in each language's folder; nothing else has to know of it but the
// types in catalogs.d.ts.
const chunks: Record<Language, () => Promise<{ default: Record<string, object> }>> = {
  en: () => import("./en"),
  "zh-CN": () => import("./zh-CN"),
};

/** Loads a language and makes it the console's. */
export async function speak(language: Language): Promise<void> {
  const { default: catalogs } = await chunks[language]();
  for (const [namespace, messages] of Object.entries(catalogs)) {
    i18next.addResourceBundle(language, namespace, messages);
  }
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

/** Prepares translation, in the given language. */
export async function startMessages(language: Language): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    defaultNS: "common",
    resources: {},
    showSupportNotice: false,
    interpolation: { escapeValue: false }, // React escapes
    // The compiler and a test see to it that none is missing; were one missing
    // all the same, whoever looks at the page's errors shall see it.
    saveMissing: true,
    missingKeyHandler: (_, namespace, key) => reportError(new Error(`no message ${namespace}:${key}`)),
    react: { useSuspense: false, bindI18nStore: "added" },
  });
  await speak(language);
}
