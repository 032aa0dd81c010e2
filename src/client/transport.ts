/**
 * How a component reaches the API server: one request in, one answer or one stream out. The same interface is
 * served in process (the handler chain without the bytes), across sites with virtual latency, across workers,
 * and by `fetch` over HTTP. Objects in answers are deep-frozen and may be shared: clone before changing one.
 */

/** Somebody who asks. Follows k8s.io/apiserver/pkg/authentication/user. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What a client's certificate says, which the authority of clients signed. */
export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** SHA-256 of its DER, in hexadecimal. */
  readonly fingerprint: string;
}

/** One API request. `path` holds the query string too, as in HTTP. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** For example `/api/v1/namespaces/shop/pods?watch=true&resourceVersion=12`. */
  readonly path: string;
  /** Header names in lower case: `content-type`, `accept`, `user-agent`, `impersonate-user` … */
  readonly headers?: Readonly<Record<string, string>>;
  /** A JSON value (the object itself, not its text). */
  readonly body?: unknown;
  /** Paths of fields that the body's text gave twice, for field validation. */
  readonly duplicates?: readonly string[];
  /** The connection that the request came by, where it asks for another protocol: who answers with 101 has taken it over. */
  readonly connection?: Connection;
  /** Who asks, as authentication found; absent: the administrator, who needs none in process. */
  readonly user?: UserInfo;
}

/** The bytes of a client's connection after its request. */
export interface Connection {
  write(bytes: Uint8Array): void;
  /** Begins to read; `close` is called once, at the end, whoever it was that ended it. */
  start(events: { data(bytes: Uint8Array): void; close(): void }): void;
  /** Ends it after what was written. */
  end(): void;
}

/** One line of a watch stream. */
export interface WatchEvent<T = unknown> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: T;
}

/** The answer to one request. Errors are answers too: `status` ≥ 400 and a `Status` object as `body`. */
export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Present for an accepted watch instead of `body`. Ends when the server ends it or the signal aborts. */
  readonly stream?: AsyncIterable<WatchEvent>;
  /** Present instead of `body` for what is a text as it comes (logs). */
  readonly text?: AsyncIterable<string>;
  /** Present instead of `body` for what is passed on as it comes (proxies). */
  readonly bytes?: AsyncIterable<Uint8Array>;
}

/** An HTTP request as a server meets it. */
export interface HttpMessage {
  readonly method: string;
  /** Path and query: `/api/v1/pods?limit=1`. */
  readonly url: string;
  /** Names in lower case; several of one name joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Aborts when the client has gone. */
  readonly signal?: AbortSignal;
  /** The client's certificate; `"invalid"`: one that the authority of clients did not sign, or that is out of date. */
  readonly certificate?: ClientCertificate | "invalid";
}

/** What is answered to it: no body, a text, bytes, or for a watch one text after the other as they come. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<string | Uint8Array>;
}

/** Sends one request. Rejects only when no answer came (`signal` aborted, transport closed). */
export type ApiTransport = (request: ApiRequest, signal?: AbortSignal) => Promise<ApiResponse>;
