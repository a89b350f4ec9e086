// @vitest-environment node
import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, it } from "vitest";

it("has the types of docs/openapi.json; make generate writes them", async () => {
  const document = new URL("../../../docs/openapi.json", import.meta.url);
  const written = readFileSync(new URL("./schema.gen.ts", import.meta.url), "utf8");
  expect(written.endsWith(astToString(await openapiTS(document)))).toBe(true);
}, 30_000);
