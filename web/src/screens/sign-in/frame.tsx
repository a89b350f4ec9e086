import { type ReactNode, useEffect } from "react";
import { Mark } from "@/app/mark";
import { LanguageMenu, ThemeMenu } from "@/app/shell";

/** What is around the pages of those who are not signed in. */
export function Frame({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Halley`;
  }, [title]);
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex justify-end gap-1 p-2">
        <LanguageMenu signedIn={false} />
        <ThemeMenu />
      </header>
      <main className="flex flex-1 justify-center px-4 pt-[9vh] pb-16">
        <div className="w-full max-w-80">
          <Mark className="mb-5 size-9" />
          <h1 className="mb-5 text-xl font-semibold tracking-tight">{title}</h1>
          {children}
        </div>
      </main>
    </div>
  );
}
