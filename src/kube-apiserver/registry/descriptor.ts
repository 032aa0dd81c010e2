/**
 * What the API server knows about a resource beside its name: one value per resource, in the list of `index.ts`.
 * The counterpart of upstream's rest strategies (pkg/registry/<group>/<resource>/strategy.go).
 */
import type { KubeObject } from "../../apimachinery/meta.ts";
import type { DecodeReport } from "../../api/schema.ts";
import type { Scale } from "../../api/types.generated.ts";
import type { Storage } from "../../storage/storage.ts";
import type { Clock, Random } from "../../time/clock.ts";
import type { ResourceName } from "../../api/resources.ts";
import type { FieldErrors } from "../field.ts";

/** What the hooks of a resource may use. */
export interface RegistryContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly serviceIPs: import("./allocators.ts").IPAllocator;
  readonly nodePorts: import("./allocators.ts").PortAllocator;
  /** The stored object, for admission that depends on others. */
  find(resource: string, namespace: string, name: string): Promise<KubeObject | undefined>;
}

/** A subresource that is a part of the object itself: GET, PUT and PATCH of the whole that change nothing but that part. */
export interface SubresourceUpdate {
  /** Puts back what this subresource does not change. */
  prepare(object: KubeObject, old: KubeObject, context: RegistryContext): void;
  validate(object: KubeObject, old: KubeObject, errors: FieldErrors): void;
}

/** Undone when the write it belongs to fails. */
export type Rollback = () => void;

export interface Descriptor<T extends KubeObject = KubeObject> {
  readonly name: ResourceName;
  /** Where upstream's server keeps the kind, when it is not the core one: errors say it. */
  readonly scheme?: string;
  /** The schema's type; its kind by default. */
  readonly type?: string;
  /** As in `/registry/<prefix>/…`; upstream's odd ones are `minions`, `services/specs`. */
  readonly storagePrefix: string;
  readonly hasStatus: boolean;
  /** Whether it has the `scale` subresource. */
  readonly scalable?: boolean;
  /** Names that objects may have. */
  readonly validateName: (name: string) => string[];
  /** Whether an update may come without resourceVersion. */
  readonly allowUnconditionalUpdate: boolean;
  /** Whether an update creates an object that is not there. */
  readonly allowCreateOnUpdate?: boolean;
  /** Whether a deletion answers with the object rather than a Status. */
  readonly returnsDeleted?: boolean;
  /** Whether a deletion without a policy orphans dependents (kinds older than the garbage collector). */
  readonly orphansByDefault?: boolean;
  /** Why the object of that name must stay, if it must. */
  readonly keeps?: (name: string) => string | undefined;
  /** What a deletion without a policy is told in a Warning header. */
  readonly deleteWarning?: string;
  /** Whether `metadata.generation` is kept. */
  readonly generation?: boolean;
  /** Fields of the object itself that field selectors know, beside metadata.name and metadata.namespace. */
  readonly selectable?: (object: T) => Record<string, string | undefined>;
  readonly selectableNames?: readonly string[];
  /** Fills what the client left out (pkg/apis/<group>/v1/defaults.go); `empty`: where it sent an empty list or map. */
  readonly setDefaults?: (object: T, empty?: readonly string[]) => void;
  /** Mutating admission at creation: the default plugins' part. */
  readonly admitCreate?: (object: T, context: RegistryContext) => void | Promise<void>;
  /** Fields that say who it was that created the object. */
  readonly ascribe?: (object: T, user: { readonly name: string; readonly groups: readonly string[] }) => void;
  /** Fields the client does not own, at creation. */
  readonly prepareForCreate?: (object: T, context: RegistryContext) => void;
  /** What reading from the store changes at once: defaults that follow from fields set since. After validation. */
  readonly readBack?: (object: T) => void;
  /** What the client is told in Warning headers. */
  readonly warnings?: (object: T, old: T | undefined) => readonly string[];
  readonly prepareForUpdate?: (object: T, old: T, context: RegistryContext) => void;
  readonly prepareForStatusUpdate?: (object: T, old: T) => void;
  /** `validate`, `validateUpdate` and `validateStatusUpdate` say all, metadata included, each for itself, as upstream's strategies do. */
  readonly whole?: boolean;
  /** Which top-level fields a request to this subresource ("" for the object) leaves alone, where it is not the usual. */
  readonly resetFields?: (subresource: string) => readonly string[];
  /** `old` for an update. */
  readonly validate?: (object: T, errors: FieldErrors, old?: T) => void;
  readonly validateUpdate?: (object: T, old: T, errors: FieldErrors) => void;
  /** Validation of updates through `/status`. */
  readonly validateStatusUpdate?: (object: T, old: T, errors: FieldErrors) => void;
  /** Claims that outlive the object (IPs, ports), before the write. Reports into `errors`. */
  readonly allocate?: (object: T, old: T | undefined, errors: FieldErrors, context: RegistryContext) => Rollback;
  /** Gives the claims back, after the deletion. */
  readonly release?: (object: T, context: RegistryContext) => void;
  /** Loads what the hooks need for this verb; awaited before the request. */
  readonly prepare?: (verb: string) => Promise<void> | undefined;
  /** Reads a body that the runtime schema does not describe. Throws ApiError and DecodeError. */
  readonly decode?: (body: unknown, report: DecodeReport) => T;
  /** After a change was stored, before it is answered. */
  readonly committed?: (object: T) => Promise<void>;
  /** A deletion that waits for the server itself: its finalizer, and what it writes into the object. */
  readonly ownDeletion?: { readonly finalizer: string; mark(object: T, time: string): void };
  /** The scale of resources that have it elsewhere than in `spec.replicas`. */
  readonly scale?: { readonly path: readonly string[]; of(object: T): Scale; set(object: T, replicas: number): void };
  /** Subresources beside status and scale that are parts of the object, by name. */
  readonly parts?: Readonly<Record<string, SubresourceUpdate>>;
  readonly custom?: CustomResource;
  /** The store as this version shows it, where another one is stored. */
  readonly view?: (storage: Storage<KubeObject>) => Storage<KubeObject>;
  /** The object as it is stored, for what is made of that form (Tables). */
  readonly toStored?: (object: T) => KubeObject;
  /** The group in messages of validation, where it is not the one that is served. */
  readonly internalGroup?: string;
  /** The grace period of a deletion; undefined where deletion is immediate. `asked` is the client's. */
  readonly gracePeriod?: (object: T, asked: number | undefined) => number;
}

/** Marks lists whose items keep their apiVersion and kind: those of custom resources. */
export const UNSTRUCTURED: unique symbol = Symbol("unstructured");

/** What a resource that is declared at run time has of its own. */
export interface CustomResource {
  /** The objects as this version shows them. */
  readonly view: Storage<KubeObject>;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  /** What a Warning header says of every answer. */
  readonly warning: string | undefined;
  /** Refuses what cannot be done now. Throws ApiError. */
  admit(verb: string): void;
  /** Refuses what is no configuration of this type (server-side apply). Throws ApiError. */
  admitApplied(applied: unknown, current: KubeObject | undefined): void;
  /** The columns of Tables beside the name. */
  readonly columns: readonly { readonly name: string; readonly type: string; readonly format: string; readonly description: string; readonly priority: number }[];
  cells(object: KubeObject, nowMs: number): unknown[];
  /** The schema in OpenAPI documents. */
  readonly openapi: Readonly<Record<string, unknown>>;
}

/** The name of the resource's type in the runtime schema. */
export function typeOf(descriptor: Descriptor): string {
  return descriptor.type ?? descriptor.name.kind;
}

/** The key of an object in the store. */
export function storageKey(descriptor: Descriptor, namespace: string, name: string): string {
  return `${storagePrefixOf(descriptor, namespace)}${name}`;
}

/** The prefix of all objects, or of those in one namespace. */
export function storagePrefixOf(descriptor: Descriptor, namespace: string): string {
  const base = `/registry/${descriptor.storagePrefix}/`;
  return descriptor.name.namespaced && namespace !== "" ? `${base}${namespace}/` : base;
}
