/** Single requests to the API server, for resources that the typed client does not name (tokens). */
import type { ApiTransport } from "../client/transport.ts";

/** An answer with status 400 or more. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
  }
}

export interface Api {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  delete<T>(path: string, body?: unknown): Promise<T>;
}

/** Requests over `transport` in the name of `userAgent`. */
export function newApi(transport: ApiTransport, userAgent: string, signal?: AbortSignal): Api {
  const send = async <T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> => {
    const headers = { "content-type": "application/json", accept: "application/json", "user-agent": userAgent };
    const response = await transport({ method, path, headers, ...(body === undefined ? {} : { body }) }, signal);
    if (response.status < 400) return response.body as T;
    const status = response.body as { reason?: string; message?: string } | undefined;
    throw new ApiError(response.status, status?.reason ?? "", status?.message ?? `the server answered ${response.status}`);
  };
  return {
    get: (path) => send("GET", path),
    post: (path, body) => send("POST", path, body),
    put: (path, body) => send("PUT", path, body),
    delete: (path, body) => send("DELETE", path, body),
  };
}
