import { describe, expect, it } from "vitest";
import en from "./en";
import type { languages } from "./languages";
import zhCN from "./zh-CN";

const all: Record<keyof typeof languages, Record<string, object>> = { en, "zh-CN": zhCN };
const plural = /_(zero|one|two|few|many|other)$/;

function flat(messages: object, prefix = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of Object.entries(messages)) {
    if (typeof value === "string") found.set(prefix + name, value);
    else for (const [key, text] of flat(value, `${prefix}${name}.`)) found.set(key, text);
  }
  return found;
}

/** The keys a language must have for the message keys of English: its own plural forms. */
function wanted(english: Iterable<string>, language: string): string[] {
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  const keys = new Set<string>();
  for (const key of english) {
    if (plural.test(key)) for (const form of forms) keys.add(key.replace(plural, `_${form}`));
    else keys.add(key);
  }
  return [...keys].sort();
}

const places = (text: string) =>
  [...text.matchAll(/\{\{(\w+)\}\}|<(\w+)>/g)].map((match) => match[1] ?? `<${match[2]}>`).sort();

describe.each(Object.keys(all) as (keyof typeof languages)[])("the catalogs of %s", (language) => {
  it("are those of English", () => {
    expect(Object.keys(all[language]).sort()).toEqual(Object.keys(en).sort());
  });
  it.each(Object.keys(en))("miss no message, and have none too many: %s", (namespace) => {
    const english = flat(en[namespace] ?? {});
    const here = flat(all[language][namespace] ?? {});
    expect([...here.keys()].sort()).toEqual(wanted(english.keys(), language));
    for (const [key, text] of here) {
      expect(text.trim(), key).not.toBe("");
      const original = english.get(key) ?? english.get(key.replace(plural, "_other")) ?? "";
      // A form such as "one" may say the number in words.
      if (!plural.test(key)) expect(places(text), key).toEqual(places(original));
    }
  });
});

// Every literal t("…") is checked by the compiler; keys that are put together
// (t(`status.${code}`)) are, too, as far as their parts have literal types.
