/**
 * What a service worker and the page whose cluster it stands in front of say to each other. Every request has a MessagePort of its own:
 * the page answers with a head, then texts until an end; the service worker says when its client no longer listens.
 */

/** To the page: who serves? The page answers with {@link Ready}. */
export interface WhoServes {
  readonly kubewire: "who-serves";
}
/** To the service worker: this page's cluster serves what begins with one of these paths. */
export interface Ready {
  readonly kubewire: "ready";
  readonly paths: readonly string[];
}
/** To the page, with the port for the answer. */
export interface Asked {
  readonly kubewire: "request";
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}
/** From the page, by that port. */
export type Answered =
  | { readonly head: { readonly status: number; readonly headers: Readonly<Record<string, string>> } }
  | { readonly text: string | Uint8Array }
  | { readonly end: true };
/** From the service worker, by that port. */
export interface Gone {
  readonly gone: true;
}

/** The paths of an API server. */
export const API_PATHS: readonly string[] = ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz", "/metrics"];
