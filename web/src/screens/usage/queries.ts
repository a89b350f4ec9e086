import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import type { Range } from "@/format/period";
import type { UsageSearch } from "./search";

/** The server's filter. Both ends of its ranges count. A request id is looked for at all times. */
export function filterOf(search: UsageSearch, range: Range) {
  const { key, model, status, errors, request, who, user } = search;
  return {
    key_id: key,
    model,
    status,
    errors,
    request_id: request,
    ...(request ? {} : { from: range.from, to: range.to - 1 }),
    ...(who === "all" && user ? { user_id: user } : {}),
  };
}

type Filter = ReturnType<typeof filterOf>;

export function requestsQuery(all: boolean, filter: Filter, page: number, size: number) {
  const query = { ...filter, p: page, page_size: size };
  return queryOptions({
    queryKey: ["usage", "list", all, query],
    queryFn: ({ signal }) =>
      all
        ? data(api.GET("/api/log/", { signal, params: { query } }))
        : data(api.GET("/api/log/self", { signal, params: { query } })),
  });
}

export function requestSumsQuery(all: boolean, query: Filter) {
  return queryOptions({
    queryKey: ["usage", "sums", all, query],
    queryFn: ({ signal }) =>
      all
        ? data(api.GET("/api/log/stat", { signal, params: { query } }))
        : data(api.GET("/api/log/self/stat", { signal, params: { query } })),
  });
}

/** One's own keys whose name or value has what was typed. */
export function keyChoicesQuery(keyword: string) {
  return queryOptions({
    queryKey: ["keys", "choices", keyword],
    queryFn: ({ signal }) => data(api.GET("/api/token/", { signal, params: { query: { keyword, page_size: 50 } } })),
  });
}

/** One of one's own keys, for its name. */
export function keyNameQuery(id: number) {
  return queryOptions({
    queryKey: ["keys", "one", id],
    queryFn: ({ signal }) => data(api.GET("/api/token/{id}", { signal, params: { path: { id } } })),
    enabled: id > 0,
    retry: false,
  });
}
