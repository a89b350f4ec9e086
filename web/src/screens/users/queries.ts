import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import type { UsersSearch } from "./search";

/** Everything about users: invalidate it after any change of one. */
export const usersKey = ["users"] as const;

export function usersQuery({ q, page = 1, size = 20 }: UsersSearch) {
  return queryOptions({
    queryKey: [...usersKey, "list", { q, page, size }],
    queryFn: ({ signal }) =>
      data(api.GET("/api/user/", { signal, params: { query: { keyword: q, p: page, page_size: size } } })),
  });
}

export function userQuery(id: number) {
  return queryOptions({
    queryKey: [...usersKey, "one", id],
    queryFn: ({ signal }) => data(api.GET("/api/user/{id}", { signal, params: { path: { id } } })),
  });
}

export function sessionsQuery(id: number) {
  return queryOptions({
    queryKey: [...usersKey, "sessions", id],
    queryFn: ({ signal }) =>
      data(api.GET("/api/user/{id}/session", { signal, params: { path: { id }, query: { p: 1, page_size: 100 } } })),
  });
}

export function tokensQuery(id: number) {
  return queryOptions({
    queryKey: [...usersKey, "tokens", id],
    queryFn: ({ signal }) =>
      data(api.GET("/api/user/{id}/token", { signal, params: { path: { id }, query: { p: 1, page_size: 100 } } })),
  });
}

export function factorsQuery(id: number) {
  return queryOptions({
    queryKey: [...usersKey, "factors", id],
    queryFn: ({ signal }) => data(api.GET("/api/user/{id}/second_factor", { signal, params: { path: { id } } })),
  });
}
