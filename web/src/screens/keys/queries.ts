import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import type { KeysSearch } from "./search";

/** Everything about keys: invalidate it after any change of one. */
export const keysKey = ["keys"] as const;

export function keysQuery({ q, status, group, page = 1, size = 20 }: KeysSearch) {
  return queryOptions({
    queryKey: [...keysKey, "list", { q, status, group, page, size }],
    queryFn: ({ signal }) =>
      data(
        api.GET("/api/token/", { signal, params: { query: { keyword: q, status, group, p: page, page_size: size } } }),
      ),
  });
}

export function keyQuery(id: number) {
  return queryOptions({
    queryKey: [...keysKey, "one", id],
    queryFn: ({ signal }) => data(api.GET("/api/token/{id}", { signal, params: { path: { id } } })),
  });
}
