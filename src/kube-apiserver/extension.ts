/**
 * What a server offers beyond what a cluster needs for itself: the rest of the built-in kinds, and what kubectl asks for. It is a
 * value of its own (`complete/index.ts`), so that a page which only runs a cluster does not load it.
 */
import type { ManagedFieldsEntry, Scale } from "../api/types.generated.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import type { ApiError } from "../apimachinery/status.ts";
import type { Kubelets } from "../client/site-streams.ts";
import type { ApiRequest, ApiResponse } from "../client/transport.ts";
import type { Storage } from "../storage/storage.ts";
import type { Clock, Random } from "../time/clock.ts";
import type { DeleteOptions } from "./delete-options.ts";
import type { Form, Protobuf } from "./http.ts";
import type { Requester } from "./handlers.ts";
import type { Descriptor, RegistryContext } from "./registry/descriptor.ts";
import type { RequestInfo } from "./request-info.ts";
import type { SigningKeySource } from "./signing-key.ts";

/** Resources that come and go while the server runs. */
export interface DynamicResources {
  /** All that are served: `fixed`, and those declared now. The same array as long as nothing changes. */
  registry(): readonly Descriptor[];
  /** Reads what is declared in the store already. */
  load(): Promise<void>;
}

export interface DynamicOptions {
  readonly fixed: readonly Descriptor[];
  readonly storage: Storage<KubeObject>;
  readonly clock: Clock;
  readonly random: Random;
  readonly serviceAccountKey: SigningKeySource | undefined;
  /** `--advertise-address` and `--secure-port`: where clients reach the server, ADDRESS:PORT. */
  readonly address: string;
  /** The nodes, where there are any. */
  readonly kubelets: Kubelets | undefined;
  /** Reaches webhooks; without it they fail. */
  readonly fetch: ((request: Request) => Promise<Response>) | undefined;
}

/** A start, and what is known of the server then. */
export interface BootstrapOptions {
  readonly storage: Storage<KubeObject>;
  readonly clock: Clock;
  readonly random: Random;
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  /** `--client-ca-file`, PEM. */
  readonly clientCA: string | undefined;
}

/** A server-side apply, and what the server's other verbs lend it. */
export interface ApplyRequest {
  readonly info: RequestInfo;
  readonly body: unknown;
  /** Top-level fields that this request leaves alone. */
  readonly reset: readonly string[];
  readonly time: string;
  /** A fresh object out of a body, with its defaults. Throws ApiError. */
  decode(body: unknown): { object: KubeObject; headers: Readonly<Record<string, string>> };
  /** Throws when the object is not the one that the path names. */
  checkName(object: KubeObject): void;
  current(): Promise<KubeObject | undefined>;
  /** Stores a new object; `tracked` is called when its managed fields are due. */
  create(object: KubeObject, tracked: () => void): Promise<KubeObject>;
  /** Stores a changed one whose managed fields are set. */
  update(change: (current: KubeObject) => KubeObject): Promise<KubeObject>;
}

/** A server-side apply of the Scale of an object. */
export interface ScaleApplication {
  readonly parent: KubeObject;
  readonly scale: Scale;
  readonly body: unknown;
  /** Where the object has its replicas. */
  readonly path: readonly string[];
  readonly manager: string;
  readonly force: boolean;
  readonly time: string;
}

/** One write before it is made, as admission sees it. */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly descriptor: Descriptor;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly namespace: string;
  /** "" where the server makes the name. */
  readonly name: string;
  /** As it would be stored; only `admit` changes it. Absent for deletions. */
  readonly object?: KubeObject;
  /** As it is stored. Absent for creations. */
  readonly old?: KubeObject;
  readonly user: Requester;
  readonly dryRun: boolean;
  /** Says this in the answer's Warning header, whatever the answer is. */
  warn(text: string): void;
}

/** The plugins between decoding and storing. Both throw ApiError to refuse. */
export interface Admission {
  /** Changes the object. */
  admit(request: AdmissionRequest): Promise<void>;
  /** Judges what will be stored. */
  validate(request: AdmissionRequest): Promise<void>;
}

/** What plugins may use. */
export interface AdmissionContext extends RegistryContext {
  /** Reaches webhooks; without it they fail. */
  readonly webhookFetch?: ((request: Request) => Promise<Response>) | undefined;
  readonly storage: Storage<KubeObject>;
  /** All objects, or those of a namespace. */
  list(resource: string, namespace: string): Promise<readonly KubeObject[]>;
}

/** A request that none of an object's verbs answers, and what the server lends for the answer. */
export interface Answering {
  readonly info: RequestInfo;
  readonly request: ApiRequest;
  readonly user: Requester;
  readonly signal: AbortSignal | undefined;
  readonly storage: Storage<KubeObject>;
  readonly clock: Clock;
  readonly random: Random;
  /** What tokens are signed with; undefined: a secret of the server's own. */
  readonly serviceAccountKey?: SigningKeySource | undefined;
  /** Undefined where no node can be reached. */
  readonly kubelets?: Kubelets | undefined;
  find(resource: string, namespace: string, name: string): Promise<KubeObject | undefined>;
  /** Whose fields those are that the request sets. */
  readonly manager: string;
  /** Deletes the object that the path names, or starts to. Throws ApiError. */
  remove(options: DeleteOptions): Promise<unknown>;
}

export interface Extension {
  /** Answers a request: what no verb of an object does by itself, all others by `next` (`info`: what is asked for instead). Throws ApiError. */
  dispatch(answering: Answering, next: (info?: RequestInfo) => Promise<ApiResponse>): Promise<ApiResponse>;
  /** Resources beside the server's own, in no particular order. */
  readonly resources: readonly Descriptor[];
  /** The server's own resource, with all of its validation. */
  refine(descriptor: Descriptor): Descriptor;
  /** Makes the objects that a whole server has when it is ready, after those of every cluster. */
  bootstrap(options: BootstrapOptions): Promise<void>;
  /** Makes the types of those resources known; called when a server with this extension is created. */
  load(): void;
  /** Answers paths that are no resources (discovery, OpenAPI, health), or leaves them (undefined). */
  nonResource(request: ApiRequest, registry: readonly Descriptor[]): ApiResponse | Promise<ApiResponse> | undefined;
  /** How objects and lists become Tables of `meta.k8s.io/VERSION`. Throws ApiError for a bad `includeObject`. */
  table(info: RequestInfo, version: string, clock: Clock): Form;
  /** Throws 406 for an Accept header that the path has no answer to. `infoOf` throws for unknown paths. */
  checkAccept(request: ApiRequest, infoOf: (request: ApiRequest) => RequestInfo): void;
  /** Why the text cannot be read as the request's body; `problem` is what a reader of YAML threw. */
  unreadable(text: string, request: ApiRequest, infoOf: (request: ApiRequest) => RequestInfo, problem: unknown): ApiError;
  /** Reads YAML. Throws what its reader throws. */
  fromYaml(text: string): Promise<unknown>;
  /** JSON as YAML. */
  toYaml(json: string): Promise<string>;
  /** Reads a protobuf body: the object, with apiVersion and kind. Throws ApiError. */
  decodeProtobuf(bytes: Uint8Array): unknown;
  /** How answers to the request are written in protobuf; undefined for custom resources. `infoOf` throws for unknown paths. */
  protobuf(request: ApiRequest, infoOf: (request: ApiRequest) => RequestInfo): Protobuf | undefined;
  /** Resources that are declared at run time (CustomResourceDefinitions). */
  dynamic(options: DynamicOptions): DynamicResources;
  /** The admission plugins, over one server's store. */
  admission(context: AdmissionContext): Admission;
  /** Answers a server-side apply. Throws ApiError, for conflicts among others. */
  apply(request: ApplyRequest): Promise<ApiResponse>;
  /** The replicas and the managed fields of an object whose Scale is applied. Throws ApiError. */
  applyScale(application: ScaleApplication): { replicas: number; managedFields: ManagedFieldsEntry[] };
  /** Managed fields in order and in bounds. */
  tidied(entries: ManagedFieldsEntry[]): ManagedFieldsEntry[];
  /** The managed fields that a Scale shows of its object's. */
  scaleEntries(parent: readonly ManagedFieldsEntry[] | undefined, path: readonly string[]): ManagedFieldsEntry[];
  /** Fills what an older version of the kind takes from elsewhere, in a body of that version. */
  defaultOlder(object: KubeObject, apiVersion: string): void;
  /** What a patch made that is no object of the type: how it is quoted, and why it is none. `why` is what the decoder says. */
  quote(type: string, contentType: string, patch: unknown, patched: unknown, why: string): readonly [string, string];
}
