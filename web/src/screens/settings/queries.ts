import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";

/** Everything about how one's account is signed in to. */
export const signInKey = ["settings", "sign-in"] as const;
export const tokensKey = ["settings", "tokens"] as const;

// A user has at most 25 passkeys, 50 sessions and 100 tokens: one page holds them.
const all = { page_size: 100 };

export const secondFactorQuery = queryOptions({
  queryKey: [...signInKey, "second-factor"],
  queryFn: ({ signal }) => data(api.GET("/api/user/second_factor", { signal })),
});

export const passkeysQuery = queryOptions({
  queryKey: [...signInKey, "passkeys"],
  queryFn: ({ signal }) => data(api.GET("/api/user/passkey", { signal, params: { query: all } })),
});

export const identitiesQuery = queryOptions({
  queryKey: [...signInKey, "identities"],
  queryFn: ({ signal }) => data(api.GET("/api/user/identity", { signal, params: { query: all } })),
});

export const sessionsQuery = queryOptions({
  queryKey: [...signInKey, "sessions"],
  queryFn: ({ signal }) => data(api.GET("/api/user/session", { signal, params: { query: all } })),
});

export const tokensQuery = queryOptions({
  queryKey: tokensKey,
  queryFn: ({ signal }) => data(api.GET("/api/user/token", { signal, params: { query: all } })),
});
