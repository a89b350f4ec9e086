import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import type { Range } from "@/format/period";
import { toast, toastProblem } from "@/ui/toast";
import type { KeysSearch } from "./search";

/** Everything about keys: invalidate it after any change of one. */
export const keysKey = ["keys"] as const;

export function keysQuery({ q, status, group, sort, parent, user, page = 1, size = 20 }: KeysSearch) {
  return queryOptions({
    queryKey: [...keysKey, "list", { q, status, group, sort, parent, user, page, size }],
    queryFn: ({ signal }) => {
      const query = { keyword: q, status, group, sort, parent_id: parent, user_id: user, p: page, page_size: size };
      return data(api.GET("/api/token/", { signal, params: { query } }));
    },
  });
}

/** Keys whose value ends like what was typed, or is it. */
export function keysByValueQuery(token: string, user?: number) {
  return queryOptions({
    queryKey: [...keysKey, "search", token, user],
    queryFn: ({ signal }) =>
      data(api.GET("/api/token/search", { signal, params: { query: { token, user_id: user } } })),
    enabled: token.length >= 4,
  });
}

export function keyQuery(id: number, user?: number) {
  return queryOptions({
    queryKey: [...keysKey, "one", id, user],
    queryFn: ({ signal }) =>
      data(api.GET("/api/token/{id}", { signal, params: { path: { id }, query: { user_id: user } } })),
    refetchInterval: 15_000,
  });
}

export function keyValuesQuery(id: number, user?: number) {
  return queryOptions({
    queryKey: [...keysKey, "values", id, user],
    queryFn: ({ signal }) =>
      data(
        api.GET("/api/token/{id}/values", {
          signal,
          params: { path: { id }, query: { page_size: 20, user_id: user } },
        }),
      ),
  });
}

/** A key's usage over time, by model. */
export function keyUsageQuery(id: number, range: Range, zone: string, user?: number) {
  const query = {
    key_id: id,
    from: range.from,
    to: range.to - 1,
    bucket: range.bucket,
    by: "model" as const,
    time_zone: zone,
  };
  return queryOptions({
    queryKey: [...keysKey, "usage", query, user],
    queryFn: ({ signal }) =>
      user === undefined
        ? data(api.GET("/api/data/self", { signal, params: { query } }))
        : data(api.GET("/api/data/", { signal, params: { query } })),
  });
}

/** A key's last requests. */
export function keyRequestsQuery(id: number, user?: number) {
  const query = { key_id: id, page_size: 10 };
  return queryOptions({
    queryKey: [...keysKey, "requests", id, user],
    queryFn: ({ signal }) =>
      user === undefined
        ? data(api.GET("/api/log/self", { signal, params: { query } }))
        : data(api.GET("/api/log/", { signal, params: { query } })),
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
      const after: Schemas["Key"][] = [];
      for (const key of keys) {
        const query = { status_only: true, user_id: key.user_id };
        after.push(await data(api.PUT("/api/token/", { params: { query }, body: { id: key.id, status } })));
      }
      return after;
    },
    onSuccess: (after, { keys, status }) => {
      const count = keys.length;
      const name = keys[0]?.name ?? "";
      const still = after.find((key) => key.status !== 1); // expired, or as its parent is
      if (status === 1 && still) {
        toast(t("done.enabledStill", { name: still.name, status: t(`status.${still.status}`) }));
      } else if (status === 1) toast(count === 1 ? t("done.enabled", { name }) : t("done.enabledMany", { count }));
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
