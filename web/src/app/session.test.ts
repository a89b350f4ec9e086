import { afterEach, describe, expect, it, vi } from "vitest";
import { api, data } from "@/api/client";
import { ApiError } from "@/api/error";
import { session } from "./session";

function answer(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json", "X-Request-Id": "req-1" },
  });
}

const ended = () => answer(401, { success: false, message: "Sign in.", code: "session_expired" });
const made = () => answer(200, { success: true, message: "", data: { id: 7 } });

describe("a call whose session has ended", () => {
  afterEach(() => session.set(false));

  it("waits until the viewer has signed in again, and is then made once more with its body", async () => {
    session.set(true);
    const bodies: string[] = [];
    const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(async (request) => {
      bodies.push(await (request as Request).text());
      return bodies.length === 1 ? ended() : made();
    });
    const call = data(api.POST("/api/token/", { body: { name: "kept" } }));
    await vi.waitFor(() => expect(session.ended()).toBe(true));
    session.settle(true);
    await expect(call).resolves.toEqual({ id: 7 });
    expect(fetched).toHaveBeenCalledTimes(2);
    expect(bodies).toEqual(['{"name":"kept"}', '{"name":"kept"}']);
    expect(session.ended()).toBe(false);
  });

  it("fails when the viewer gives up", async () => {
    session.set(true);
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => ended());
    const call = data(api.GET("/api/token/"));
    await vi.waitFor(() => expect(session.ended()).toBe(true));
    session.set(false);
    await expect(call).rejects.toMatchObject({
      status: 401,
      code: "session_expired",
      message: "Sign in.",
      requestId: "req-1",
    });
  });

  it("does not wait where nobody was signed in, nor for signing in itself", async () => {
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => ended());
    await expect(data(api.GET("/api/user/self"))).rejects.toBeInstanceOf(ApiError);
    session.set(true);
    await expect(data(api.POST("/api/user/login", { body: { username: "a", password: "b" } }))).rejects.toBeInstanceOf(
      ApiError,
    );
  });
});

it("tells a server that cannot be reached from one that refuses", async () => {
  vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("Failed to fetch"));
  await expect(data(api.GET("/api/status"))).rejects.toMatchObject({ offline: true });
});

it("explains an answer that is no JSON by its status", async () => {
  vi.spyOn(globalThis, "fetch").mockImplementation(
    async () => new Response("bad gateway", { status: 502, statusText: "Bad Gateway" }),
  );
  await expect(data(api.GET("/api/status"))).rejects.toMatchObject({ status: 502, message: "HTTP 502 Bad Gateway" });
});
