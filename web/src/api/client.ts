import createClient from "openapi-fetch";
import { session } from "@/app/session";
import { ApiError, refusal } from "./error";
import type { components, paths } from "./schema.gen";

/** The shapes of bodies and answers, by their names in the OpenAPI document. */
export type Schemas = components["schemas"];

/** The typed client. Calls go through `data`, which unwraps the envelope. */
export const api = createClient<paths>({ baseUrl: "/", fetch: patiently });

/**
 * The data of an answer; a refusal is thrown as ApiError.
 *
 *     const key = await data(api.GET("/api/token/{id}", { params: { path: { id } } }));
 */
export async function data<Answer extends object>(
  call: Promise<{ data?: Answer; error?: unknown; response: Response }>,
): Promise<Answer extends { data: infer Data } ? Data : undefined> {
  const { data: answer, error, response } = await call;
  if (!response.ok || error !== undefined || answer === undefined) throw refusal(response, error);
  return (answer as { data: never }).data;
}

/**
 * Fetches, and when the session has ended meanwhile waits until the viewer has
 * signed in again, then asks once more: no form loses what was typed into it.
 */
async function patiently(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await reach(request);
  if (response.status !== 401 || !session.watches(request.url)) return response;
  if (!(await session.restored())) return response;
  return reach(again);
}

async function reach(request: Request): Promise<Response> {
  request.headers.set("Accept-Language", document.documentElement.lang); // the one that was chosen here
  try {
    return await fetch(request);
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw new ApiError(0, "offline", "The server cannot be reached.", undefined, undefined);
  }
}
