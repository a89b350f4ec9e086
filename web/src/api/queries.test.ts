import { expect, it } from "vitest";
import type { Schemas } from "./client";
import { changeViewer, newQueryClient, ownGroupsQuery, selfQuery, statusQuery } from "./queries";

it("shows nobody what the viewer before them was shown", () => {
  const queries = newQueryClient();
  queries.setQueryData(["keys", "list"], { items: [{ key: "sk-of-the-one-before" }] });
  queries.setQueryData(ownGroupsQuery.queryKey, { vip: { ratio: "1", desc: "" } });
  queries.setQueryData(statusQuery.queryKey, { version: "1" } as Schemas["Status"]);
  const next = { id: 2, username: "grace" } as Schemas["User"];
  changeViewer(queries, next);
  expect(
    queries
      .getQueryCache()
      .getAll()
      .map((query) => query.queryKey),
  ).toEqual(expect.arrayContaining([statusQuery.queryKey, selfQuery.queryKey]));
  expect(queries.getQueryCache().getAll()).toHaveLength(2);
  expect(queries.getQueryData(selfQuery.queryKey)).toBe(next);
});
