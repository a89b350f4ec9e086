import { useSyncExternalStore } from "react";

/**
 * Whether the session of whoever is signed in has ended. A call that meets a
 * 401 waits here; the dialog "session ended" resolves it.
 */
class Session {
  private signedIn = false;
  private waiting: ((again: boolean) => void)[] = [];
  private listeners = new Set<() => void>();

  /** Called when it is known that somebody is signed in, or that nobody is. */
  set(signedIn: boolean): void {
    this.signedIn = signedIn;
    if (!signedIn) this.settle(false);
  }

  /** Whether a 401 from this address means that the session has ended. */
  watches(url: string): boolean {
    const path = new URL(url, window.location.origin).pathname;
    return this.signedIn && !/^\/api\/user\/(login|logout|register)(\/|$)/.test(path);
  }

  /** Resolves when the viewer has signed in again (true) or has given up (false). */
  restored(): Promise<boolean> {
    return new Promise((resolve) => {
      this.waiting = [...this.waiting, resolve];
      this.tell();
    });
  }

  settle(again: boolean): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve(again);
    this.tell();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly ended = (): boolean => this.waiting.length > 0;

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

export const session = new Session();

/** Whether calls wait for the viewer to sign in again. */
export function useSessionEnded(): boolean {
  return useSyncExternalStore(session.subscribe, session.ended);
}
