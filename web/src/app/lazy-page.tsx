import { type ComponentType, createElement, use } from "react";
import { ApiError } from "@/api/error";

/** The code of a page did not come, as the server could not be reached. */
export class PageNotLoaded extends ApiError {
  constructor() {
    super(0, "offline", "The server cannot be reached.", undefined, undefined);
  }
}

/**
 * A page whose code is loaded when it is opened. The router's own reloads the
 * window when that fails, and without a network that leaves nothing at all; here
 * the page tells so, and reopen tries again.
 */
export function lazyPage<Name extends string>(load: () => Promise<Record<Name, ComponentType>>, name: Name) {
  let component: ComponentType | undefined;
  let coming: Promise<ComponentType> | undefined;
  const ask = () => {
    coming ??= load().then(
      (module) => {
        component = module[name];
        return module[name];
      },
      async (cause: unknown) => {
        throw (await reachable()) ? cause : new PageNotLoaded();
      },
    );
    return coming;
  };
  // biome-ignore lint/correctness/noComponentHookFactories: each is made once, beside its route
  const Page = () => createElement(component ?? use(ask()));
  /** Loads it ahead; whether that failed is told when the page is drawn. */
  Page.preload = async () => {
    await ask().catch(() => undefined);
  };
  return Page;
}

/**
 * Opens the page anew, once the server answers. Importing its code again would not
 * do: some browsers, Chromium 148 among them, remember for as long as the window
 * lives that a module could not be had.
 */
export async function reopen(): Promise<void> {
  if (await reachable()) window.location.reload();
}

/** Whether the server answers at all: then it is the code that is gone, after an update. */
async function reachable(): Promise<boolean> {
  try {
    await fetch("/api/status", { cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}
