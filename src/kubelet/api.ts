/** Single requests to the API server, for resources that the typed client does not name (tokens). */
import { ApiError, type Status } from "../apimachinery/status.ts";
import type { ApiTransport } from "../client/transport.ts";

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
    throw new ApiError(response.body as Status);
  };
  return {
    get: (path) => send("GET", path),
    post: (path, body) => send("POST", path, body),
    put: (path, body) => send("PUT", path, body),
    delete: (path, body) => send("DELETE", path, body),
  };
}
