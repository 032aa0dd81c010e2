/** What the kubelet's own requests to containers go by. */
import type { httpRequest } from "../../http/client.ts";

/** How it asks over HTTP. */
export type HttpRequest = typeof httpRequest;
