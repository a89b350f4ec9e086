import { useEffect, useState } from "react";
import { ApiError } from "@/api/error";

/** The instant, in milliseconds, before which a refused call need not be made again. */
export function waitsUntil(error: unknown, now: number): number | undefined {
  return error instanceof ApiError && error.retryAfter !== undefined ? now + error.retryAfter * 1000 : undefined;
}

/** The whole seconds left until an instant, never fewer than none. */
export function secondsLeft(until: number | undefined, now: number): number {
  return until === undefined ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
}

/** 0:05, 14:32, 1:00:00 */
export function clock(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}:${two(seconds % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** How many seconds a refusal still asks to wait, counted down. */
export function useWait(error: unknown): number {
  const [until, setUntil] = useState<number>();
  const [now, setNow] = useState(0);
  useEffect(() => {
    const end = waitsUntil(error, Date.now());
    setUntil(end);
    setNow(Date.now());
    if (end === undefined) return;
    const timer = setInterval(() => {
      setNow(Date.now());
      if (Date.now() >= end) clearInterval(timer);
    }, 500);
    return () => clearInterval(timer);
  }, [error]);
  return secondsLeft(until, now);
}
