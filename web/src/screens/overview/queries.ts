import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import type { Range } from "@/format/period";

export type Who = "own" | "all";

/** Usage over time. Both ends of the server's ranges count. */
export function seriesQuery(who: Who, by: "model" | "key" | "user", range: Range, zone: string) {
  const query = { from: range.from, to: range.to - 1, bucket: range.bucket, by, time_zone: zone };
  return queryOptions({
    queryKey: ["overview", "series", who, query],
    queryFn: ({ signal }) =>
      who === "all"
        ? data(api.GET("/api/data/", { signal, params: { query } }))
        : data(api.GET("/api/data/self", { signal, params: { query } })),
  });
}

/** The sums of a stretch of time. */
export function sumsQuery(who: Who, from: number, to: number) {
  const query = { from, to: to - 1 };
  return queryOptions({
    queryKey: ["overview", "sums", who, query],
    queryFn: ({ signal }) =>
      who === "all"
        ? data(api.GET("/api/log/stat", { signal, params: { query } }))
        : data(api.GET("/api/log/self/stat", { signal, params: { query } })),
  });
}

/** Whether there is a channel. Below the keys that channels and keys are invalidated by. */
export const anyChannelQuery = queryOptions({
  queryKey: ["channels", "any"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/channel/", { signal, params: { query: { page_size: 1 } } }))).total > 0,
});

/** Whether one has a key. */
export const anyKeyQuery = queryOptions({
  queryKey: ["keys", "any"],
  queryFn: async ({ signal }) =>
    (await data(api.GET("/api/token/", { signal, params: { query: { page_size: 1 } } }))).total > 0,
});

/** One's own keys that need a look. */
export const watchQuery = queryOptions({
  queryKey: ["keys", "watch"],
  queryFn: ({ signal }) => data(api.GET("/api/token/watch", { signal })),
});
