import { keepPreviousData, QueryClient, queryOptions } from "@tanstack/react-query";
import { session } from "@/app/session";
import { api, data, type Schemas } from "./client";
import { ApiError } from "./error";

/** What the whole console asks for. A screen's own queries are in its folder. */
export const selfQuery = queryOptions({
  queryKey: ["self"],
  queryFn: async ({ signal }): Promise<Schemas["User"] | null> => {
    try {
      const user = await data(api.GET("/api/user/self", { signal }));
      session.set(true);
      return user;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        session.set(false);
        return null;
      }
      throw error;
    }
  },
  staleTime: 60_000,
});

/** Whether a user's role lets them administer. */
export function administers(user: Schemas["User"] | null | undefined): boolean {
  return user?.role === "admin" || user?.role === "root";
}

export const statusQuery = queryOptions({
  queryKey: ["status"],
  queryFn: ({ signal }) => data(api.GET("/api/status", { signal })),
  staleTime: 5 * 60_000,
});

/** The groups that the keys of a user may have, by name; those of the caller when nobody is named. */
export function usableGroupsQuery(user?: number) {
  return queryOptions({
    queryKey: user === undefined ? ["self", "groups"] : ["users", "groups", user],
    queryFn: ({ signal }) =>
      user === undefined
        ? data(api.GET("/api/user/self/groups", { signal }))
        : data(api.GET("/api/user/{id}/groups", { signal, params: { path: { id: user } } })),
    staleTime: 60_000,
  });
}

export const ownGroupsQuery = usableGroupsQuery();

/** Every group, for administrators. */
export const groupsQuery = queryOptions({
  queryKey: ["groups", "list"],
  queryFn: async ({ signal }) => {
    const all: Schemas["Group"][] = [];
    for (let page = 1; ; page++) {
      const part = await data(api.GET("/api/group/", { signal, params: { query: { p: page, page_size: 100 } } }));
      all.push(...part.items);
      if (part.items.length === 0 || all.length >= part.total) return all;
    }
  },
  staleTime: 60_000,
});

/** The models that the keys of a user may call; those of the caller when nobody is named. */
export function usableModelsQuery(user?: number) {
  return queryOptions({
    queryKey: user === undefined ? ["self", "models"] : ["users", "models", user],
    queryFn: ({ signal }) =>
      user === undefined
        ? data(api.GET("/api/user/self/models", { signal }))
        : data(api.GET("/api/user/{id}/models", { signal, params: { path: { id: user } } })),
    staleTime: 60_000,
  });
}

export const ownModelsQuery = usableModelsQuery();

/** Takes in who is at the console now, and forgets all that the one before was shown. */
export function changeViewer(queries: QueryClient, viewer: Schemas["User"] | null): void {
  queries.setQueryData(selfQuery.queryKey, viewer);
  queries.removeQueries({
    predicate: ({ queryKey }) => queryKey[0] !== "status" && !(queryKey[0] === "self" && queryKey.length === 1),
  });
}

export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 15_000,
        placeholderData: keepPreviousData,
        // What the server has refused, it refuses again.
        retry: (failures, error) => failures < 2 && (!(error instanceof ApiError) || error.status >= 500),
        networkMode: "always", // a server on this machine needs no network
      },
      mutations: { networkMode: "always" },
    },
  });
}
