import { useSyncExternalStore } from "react";
import { type Language, languageFor, languages } from "@/messages/languages";

export type Theme = "system" | "light" | "dark";

const listeners = new Set<() => void>();

function read(name: string): string | null {
  try {
    return localStorage.getItem(`halley.${name}`);
  } catch {
    return null; // storage may be closed to us
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(`halley.${name}`, value);
  } catch {
    // then the choice lasts until the page is left
  }
}

export function chosenTheme(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  write("theme", theme);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", listener);
  return () => {
    listeners.delete(listener);
    system.removeEventListener("change", listener);
  };
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, chosenTheme);
}

/** Whether the page is dark just now, for what cannot use CSS: charts. */
export function useDark(): boolean {
  return useSyncExternalStore(subscribe, () => {
    const theme = chosenTheme();
    return theme === "dark" || (theme === "system" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  });
}

/** The language chosen here, or else the browser's. */
export function firstLanguage(): Language {
  const chosen = read("language");
  return chosen !== null && chosen in languages ? (chosen as Language) : languageFor(navigator.languages);
}

/** Whether somebody has chosen a language on this browser. */
export function languageChosen(): boolean {
  return read("language") !== null;
}

export function rememberLanguage(language: Language): void {
  write("language", language);
}
