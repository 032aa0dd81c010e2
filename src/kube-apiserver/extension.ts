/**
 * What a server offers beyond what a cluster needs for itself: the rest of the built-in kinds, and what kubectl asks for. It is a
 * value of its own (`complete/index.ts`), so that a page which only runs a cluster does not load it.
 */
import type { KubeObject } from "../apimachinery/meta.ts";
import type { ApiRequest, ApiResponse } from "../client/transport.ts";
import type { Descriptor } from "./registry/descriptor.ts";

export interface TableRequest {
  readonly descriptor: Descriptor;
  /** `includeObject`: what each row carries. */
  readonly include: "Metadata" | "Object" | "None";
  readonly version: string;
  readonly nowMs: number;
}

/** What server-side apply is told of the request. */
export interface ApplyRequest {
  readonly descriptor: Descriptor;
  readonly current: KubeObject | undefined;
  /** The body as it was sent. */
  readonly applied: Record<string, unknown>;
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: string;
  readonly reset: readonly string[];
  readonly time: string;
}

export interface Extension {
  /** Resources beside the server's own, in no particular order. */
  readonly resources: readonly Descriptor[];
  /** Makes the types of those resources known; called when a server with this extension is created. */
  load(): void;
  /** Answers paths that are no resources (discovery, OpenAPI), or leaves them (undefined). */
  nonResource(request: ApiRequest, registry: readonly Descriptor[]): ApiResponse | undefined;
  /** An object or a list as a Table. */
  table(request: TableRequest, body: unknown): unknown;
  /** Reads a protobuf body: the object, with apiVersion and kind. Throws ApiError. */
  decodeProtobuf(bytes: Uint8Array): unknown;
  /** The object after a server-side apply, its managed fields included. Throws ApiError on conflicts. */
  apply(request: ApplyRequest): KubeObject;
}
