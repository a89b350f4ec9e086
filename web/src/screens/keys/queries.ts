import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import type { Range } from "@/format/period";
import { toast, toastProblem } from "@/ui/toast";
import type { KeysSearch } from "./search";

/** Everything about keys: invalidate it after any change of one. */
export const keysKey = ["keys"] as const;

export function keysQuery({ q, status, group, sort, page = 1, size = 20 }: KeysSearch) {
  return queryOptions({
    queryKey: [...keysKey, "list", { q, status, group, sort, page, size }],
    queryFn: ({ signal }) => {
      const query = { keyword: q, status, group, sort, p: page, page_size: size };
      return data(api.GET("/api/token/", { signal, params: { query } }));
    },
  });
}

/** Keys whose value ends like what was typed, or is it. */
export function keysByValueQuery(token: string) {
  return queryOptions({
    queryKey: [...keysKey, "search", token],
    queryFn: ({ signal }) => data(api.GET("/api/token/search", { signal, params: { query: { token } } })),
    enabled: token.length >= 4,
  });
}

export function keyQuery(id: number) {
  return queryOptions({
    queryKey: [...keysKey, "one", id],
    queryFn: ({ signal }) => data(api.GET("/api/token/{id}", { signal, params: { path: { id } } })),
    refetchInterval: 15_000,
  });
}

export function keyValuesQuery(id: number) {
  return queryOptions({
    queryKey: [...keysKey, "values", id],
    queryFn: ({ signal }) =>
      data(api.GET("/api/token/{id}/values", { signal, params: { path: { id }, query: { page_size: 20 } } })),
  });
}

/** A key's usage over time, by model. */
export function keyUsageQuery(id: number, range: Range, zone: string) {
  return queryOptions({
    queryKey: [...keysKey, "usage", id, range, zone],
    queryFn: ({ signal }) =>
      data(
        api.GET("/api/data/self", {
          signal,
          params: {
            query: {
              key_id: id,
              from: range.from,
              to: range.to - 1,
              bucket: range.bucket,
              by: "model",
              time_zone: zone,
            },
          },
        }),
      ),
  });
}

/** A key's last requests. */
export function keyRequestsQuery(id: number) {
  return queryOptions({
    queryKey: [...keysKey, "requests", id],
    queryFn: ({ signal }) =>
      data(api.GET("/api/log/self", { signal, params: { query: { key_id: id, page_size: 10 } } })),
    refetchInterval: 15_000,
  });
}

/** Disables or enables keys, one after the other, and offers the way back. */
export function useSetStatus() {
  const { t } = useTranslation("keys");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const mutation = useMutation({
    mutationFn: async ({ keys, status }: { keys: readonly Schemas["Key"][]; status: 1 | 2 }) => {
      const body = (key: Schemas["Key"]) => ({ id: key.id, status });
      for (const key of keys)
        await data(api.PUT("/api/token/", { params: { query: { status_only: true } }, body: body(key) }));
    },
    onSuccess: (_, { keys, status }) => {
      const count = keys.length;
      const name = keys[0]?.name ?? "";
      if (status === 1) toast(count === 1 ? t("done.enabled", { name }) : t("done.enabledMany", { count }));
      else {
        toast(count === 1 ? t("done.disabled", { name }) : t("done.disabledMany", { count }), {
          label: common("action.undo"),
          run: () => mutation.mutate({ keys, status: 1 }),
        });
      }
    },
    onError: toastProblem,
    onSettled: () => queries.invalidateQueries({ queryKey: keysKey }),
  });
  return mutation;
}
