import { queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "@/api/client";

/** Everything about channels: invalidate it after any change of one. */
export const channelsKey = ["channels"] as const;

export type Channel = Schemas["ChannelAndHealth"];
export type Preset = Schemas["Preset"];
export type Spend = Schemas["OneChannelSpend"];

/** Every channel: there are hundreds at the most, and their order is among all of them. */
export const channelsQuery = queryOptions({
  queryKey: [...channelsKey, "list"],
  queryFn: async ({ signal }) => {
    const all: Channel[] = [];
    for (let page = 1; ; page++) {
      const part = await data(api.GET("/api/channel/", { signal, params: { query: { p: page, page_size: 100 } } }));
      all.push(...part.items);
      if (part.items.length === 0 || all.length >= part.total) return all;
    }
  },
  refetchInterval: 15_000, // health changes by itself
});

export function channelQuery(id: number) {
  return queryOptions({
    queryKey: [...channelsKey, "one", id],
    queryFn: ({ signal }) => data(api.GET("/api/channel/{id}", { signal, params: { path: { id } } })),
    refetchInterval: 10_000,
  });
}

export function spendQuery(from: number, to: number) {
  return queryOptions({
    queryKey: [...channelsKey, "spend", from, to],
    queryFn: async ({ signal }) => {
      const list = await data(api.GET("/api/channel/spend", { signal, params: { query: { from, to } } }));
      return new Map(list.map((one) => [one.channel_id, one]));
    },
  });
}

export const presetsQuery = queryOptions({
  queryKey: [...channelsKey, "presets"],
  queryFn: ({ signal }) => data(api.GET("/api/channel/presets", { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});
