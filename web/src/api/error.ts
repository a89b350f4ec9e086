import type { components } from "./schema.gen";

/** A refusal as the server told it, or the failure to reach it. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** The HTTP status; 0 when there was no answer. */
    readonly status: number,
    /** Says to programs what happened, such as name_taken; offline when there was no answer. */
    readonly code: string,
    message: string,
    /** The member of the body, or the query parameter, that is at fault. */
    readonly param: string | undefined,
    readonly requestId: string | undefined,
    /** Seconds after which the same call may succeed. */
    readonly retryAfter?: number,
    /** What may be shown as a second factor, where one is asked for. */
    readonly choice?: components["schemas"]["SecondFactorChoice"],
  ) {
    super(message);
  }

  get offline(): boolean {
    return this.status === 0;
  }
}

/** What an error answer says, whatever its body looks like. */
export function refusal(response: Response, body: unknown): ApiError {
  const told = (typeof body === "object" && body !== null ? body : {}) as Partial<
    components["schemas"]["EnvelopeError"]
  >;
  const retryAfter = Number(response.headers.get("Retry-After"));
  return new ApiError(
    response.status,
    told.code ?? "",
    told.message || `HTTP ${response.status} ${response.statusText}`.trim(),
    told.param,
    response.headers.get("X-Request-Id") ?? undefined,
    retryAfter > 0 ? retryAfter : undefined,
    told.data ?? undefined,
  );
}

/** The server's message about one member of a form, for the field that shows it. */
export function errorOf(error: unknown, ...params: string[]): string | undefined {
  if (!(error instanceof ApiError) || !error.param) return undefined;
  const at = error.param;
  return params.some((param) => at === param || at.startsWith(`${param}.`)) ? error.message : undefined;
}
