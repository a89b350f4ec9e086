import { type ComponentType, createElement, use } from "react";
import { ApiError } from "@/api/error";

// What is done when pages whose code did not come are tried again.
const failures = new Set<() => void>();

/** Has pages whose code did not come ask for it again when they are drawn next. */
export function tryPagesAgain(): void {
  for (const forget of failures) forget();
  failures.clear();
}

/**
 * A page whose code is loaded when it is opened. The router's own reloads the
 * window when that fails, and without a network that leaves nothing at all; here
 * the page tells so, and can be tried again.
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
        failures.add(() => {
          coming = undefined;
        });
        throw (await reachable())
          ? cause
          : new ApiError(0, "offline", "The server cannot be reached.", undefined, undefined);
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

/** Whether the server answers at all: then it is the code that is gone, after an update. */
async function reachable(): Promise<boolean> {
  try {
    await fetch("/api/status", { cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}
