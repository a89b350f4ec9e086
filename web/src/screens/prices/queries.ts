import { queryOptions } from "@tanstack/react-query";
import { api, data } from "@/api/client";
import type { PricesSearch } from "./search";

/** Everything about prices: invalidate it after any change of one. */
export const pricesKey = ["prices"] as const;

export function pricesQuery({ q, source, page = 1, size = 20 }: PricesSearch) {
  return queryOptions({
    queryKey: [...pricesKey, "list", { q, source, page, size }],
    queryFn: ({ signal }) =>
      data(api.GET("/api/price/", { signal, params: { query: { keyword: q, source, p: page, page_size: size } } })),
  });
}

export function priceQuery(model: string) {
  return queryOptions({
    queryKey: [...pricesKey, "one", model],
    queryFn: ({ signal }) => data(api.GET("/api/price/{model}", { signal, params: { path: { model } } })),
    placeholderData: undefined,
    retry: false,
  });
}

/** The versions of a model's custom price; of all models' without one. */
export function versionsQuery(model: string | undefined, page = 1, size = 20) {
  return queryOptions({
    queryKey: [...pricesKey, "versions", { model, page, size }],
    queryFn: ({ signal }) =>
      data(api.GET("/api/price-version/", { signal, params: { query: { model, p: page, page_size: size } } })),
  });
}
