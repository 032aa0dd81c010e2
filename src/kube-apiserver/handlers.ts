/**
 * The verbs, the same for all resources. Follows k8s.io/apiserver/pkg/endpoints/handlers (create.go, update.go,
 * patch.go, delete.go, get.go) and pkg/registry/generic/registry/store.go.
 */
import { decodeStruct, DecodeError, emptyStruct } from "../api/schema.ts";
import type { DecodeReport } from "../api/schema.ts";
import { apiVersionOf } from "../api/resources.ts";
import type { Binding, Deployment, Namespace, Pod, Scale } from "../api/types.generated.ts";
import { deepCopy, deepEqual, deepFreeze } from "../apimachinery/meta.ts";
import type { KubeObject } from "../apimachinery/meta.ts";
import { generateName, newUid } from "../apimachinery/names.ts";
import {
  ApiError, failure, newAlreadyExists, newBadRequest, newConflict, newForbidden, newInvalid, newMethodNotSupported, newNotFound,
  newPathNotFound, newUnsupportedMediaType, OPTIMISTIC_LOCK,
} from "../apimachinery/status.ts";
import type { GroupResource, Status } from "../apimachinery/status.ts";
import { formatSelector, labelSelector } from "../apimachinery/selectors.ts";
import { formatTime } from "../apimachinery/time.ts";
import type { Kubelets } from "../client/site-streams.ts";
import type { ApiRequest, ApiResponse, UserInfo } from "../client/transport.ts";
import type { KeyValue, Storage } from "../storage/storage.ts";
import { FieldErrors } from "./field.ts";
import { parseDeleteOptions } from "./delete-options.ts";
import type { DeleteOptions } from "./delete-options.ts";
import { managedBase, updateManagedFields } from "./managed-fields.ts";
import { jsonPatch, mergePatch, strategicMergePatch } from "./patch.ts";
import { createReader } from "./read.ts";
import { storageKey, typeOf } from "./registry/descriptor.ts";
import type { Descriptor, RegistryContext, SubresourceUpdate } from "./registry/descriptor.ts";
import { validateObjectMeta, validateObjectMetaUpdate, validatePathSegment } from "./registry/meta.ts";
import type { AdmissionRequest, Answering, Extension } from "./extension.ts";
import type { SigningKeySource } from "./signing-key.ts";
import { isTrue } from "./request-info.ts";
import type { RequestInfo } from "./request-info.ts";

/** Who asks, as authentication found. */
export interface Requester extends UserInfo {
  userAgent: string;
}

export interface HandlersOptions extends Omit<RegistryContext, "find"> {
  storage: Storage<KubeObject>;
  registry: readonly Descriptor[];
  /** Server-side apply (without it such patches are refused with 415) and more subresources. */
  kubelets?: Kubelets | undefined;
  serviceAccountKey?: SigningKeySource | undefined;
  webhookFetch?: ((request: Request) => Promise<Response>) | undefined;
  extension?: Pick<Extension, "admission" | "apply" | "applyScale" | "defaultOlder" | "dispatch" | "quote" | "scaleEntries" | "tidied"> | undefined;
}

export interface Handlers {
  dispatch(info: RequestInfo, request: ApiRequest, user: Requester, signal?: AbortSignal): Promise<ApiResponse>;
}

type Mutable = KubeObject & { spec?: unknown; status?: unknown };

const NO_HEADERS: Readonly<Record<string, string>> = {};
const RETRIES_MAX = 10;

export function createHandlers(given: HandlersOptions): Handlers {
  const { storage, clock, random } = given;
  // The server's own resources come first, and keep their plain names.
  const byResource = new Map([...given.registry].reverse().map((d) => [d.name.resource, d]));
  const options: HandlersOptions & RegistryContext = {
    ...given,
    find: async (resource, namespace, name) => (await storage.get(storageKey(byResource.get(resource)!, namespace, name)))?.value,
  };
  const admission = given.extension?.admission({
    ...options, storage,
    list: async (resource, namespace) => (await storage.range(storageKey(byResource.get(resource)!, namespace, ""))).items.map(({ value }) => value),
  });
  /** A dry run takes nothing: it is told the address of the range, and ports beyond theirs. */
  const dry = (): RegistryContext => {
    let port = given.nodePorts.end;
    return {
      ...options,
      serviceIPs: { ...given.serviceIPs, allocateNext: () => given.serviceIPs.cidr.split("/")[0]! },
      nodePorts: { ...given.nodePorts, allocateNext: () => ++port },
    };
  };
  const namespaces = byResource.get("namespaces")!;
  const views = new Map<Descriptor, Storage<KubeObject>>();
  for (const d of given.registry) if (d.view !== undefined) views.set(d, d.view(storage));
  const storeOf = (descriptor: Descriptor): Storage<KubeObject> => descriptor.custom?.view ?? views.get(descriptor) ?? storage;
  const invalid = ({ name: { group, kind }, internalGroup }: Descriptor, name: string, errors: FieldErrors): ApiError => newInvalid({ group: internalGroup ?? group, kind }, name, errors.list);
  const reader = createReader({ storeOf, clock });
  /** Where decoded objects had empty lists and maps. */
  const emptied = new WeakMap<object, ReadonlySet<string>>();
  const gr = (d: Descriptor): GroupResource => ({ group: d.name.group, resource: d.name.resource });
  const now = (): string => formatTime(clock.nowMs());

  async function dispatch(info: RequestInfo, request: ApiRequest, user: Requester, signal?: AbortSignal): Promise<ApiResponse> {
    const next = (other = info): Promise<ApiResponse> => route(other, request, user, signal);
    return given.extension?.dispatch(new Dispatched(info, request, user, signal), next) ?? next();
  }

  /** A request on its way, with what is the same for all of them: what an extension gets to see. */
  class Dispatched implements Answering {
    readonly storage = storage;
    readonly clock = clock;
    readonly random = random;
    readonly kubelets = given.kubelets;
    readonly serviceAccountKey = given.serviceAccountKey;
    readonly find = options.find;
    readonly info: RequestInfo;
    readonly request: ApiRequest;
    readonly user: Requester;
    readonly signal: AbortSignal | undefined;

    constructor(info: RequestInfo, request: ApiRequest, user: Requester, signal: AbortSignal | undefined) {
      this.info = info;
      this.request = request;
      this.user = user;
      this.signal = signal;
    }

    get manager(): string {
      return managerOf(this.info, this.user);
    }

    remove(asked: DeleteOptions): Promise<unknown> {
      const { descriptor, namespace, name } = this.info;
      return deleteObject({ ...this.info, descriptor, namespace, name }, this.user, asked);
    }
  }

  async function route(info: RequestInfo, request: ApiRequest, user: Requester, signal?: AbortSignal): Promise<ApiResponse> {
    const { descriptor, subresource, verb } = info;
    if (subresource !== "") {
      if (descriptor.name.resource === "pods" && subresource === "binding") {
        if (verb !== "create") throw methodNotAllowed();
        return bind(info, request);
      }
      if (descriptor.name.resource === "namespaces" && subresource === "finalize") {
        if (verb !== "update") throw methodNotAllowed();
        return update(info, request, user);
      }
      if (subresource === "scale" && descriptor.scalable === true) {
        if (verb !== "get" && verb !== "update" && verb !== "patch") throw methodNotAllowed();
        return scale(info, request, user);
      }
      if (partOf(info) === undefined && (subresource !== "status" || !descriptor.hasStatus)) throw newPathNotFound();
      if (verb !== "get" && verb !== "update" && verb !== "patch") throw methodNotAllowed();
    }
    switch (verb) {
      case "get": return reader.get(info);
      case "list": return reader.list(info);
      case "watch": return reader.watch(info, signal);
      case "create":
        if (info.name !== "") throw methodNotAllowed();
        return create(info, request, user);
      case "update":
        if (info.name === "") throw methodNotAllowed();
        return update(info, request, user);
      case "patch":
        if (info.name === "") throw methodNotAllowed();
        return patch(info, request, user);
      case "delete": return remove(info, request, user);
      case "deletecollection": return removeCollection(info, request, user);
    }
  }

  /** The subresource that is a part of its object, if this is one. */
  const partOf = ({ descriptor, subresource }: RequestInfo): SubresourceUpdate | undefined => descriptor.parts?.[subresource];

  /** Decoding and defaulting: a fresh object from what the client sent, and what is wrong with it but tolerated. */
  function decodeBody(info: RequestInfo, body: unknown, duplicates: readonly string[] = [], fault?: (why: string) => ApiError): { object: Mutable; headers: Readonly<Record<string, string>> } {
    const { descriptor, query } = info;
    const { kind } = descriptor.name;
    const apiVersion = apiVersionOf(descriptor.name);
    const sent = body as { kind?: unknown; apiVersion?: unknown } | null | undefined;
    if (typeof sent !== "object" || sent === null || Array.isArray(sent)) {
      const found = Array.isArray(sent) ? "array" : sent === null ? "undefined" : typeof sent;
      const why = found === "undefined" ? "unexpected end of JSON input" : `json: cannot unmarshal ${found} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`;
      throw newBadRequest(`the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse error: ${why} (${found === "undefined" ? "<empty>" : hex(JSON.stringify(sent))})`);
    }
    const sentKind = typeof sent.kind === "string" && sent.kind !== "" ? sent.kind : kind;
    const sentVersion = typeof sent.apiVersion === "string" && sent.apiVersion !== "" ? sent.apiVersion : apiVersion;
    const report: DecodeReport = { strict: [] };
    const refused = (why: string): ApiError => newBadRequest(`${sentKind} in version "${sentVersion.split("/").pop()}" cannot be handled as a ${kind}: ${why}`);
    // A body is read as what it says it is, then judged by what the path wants.
    const own = (sentKind === kind && (sentVersion === apiVersion || (info.verb === "patch" && isOlder(sentVersion, descriptor.name)))) || descriptor.custom !== undefined;
    const sentAs = own ? descriptor : options.registry.find((d) => d.name.kind === sentKind && apiVersionOf(d.name) === sentVersion);
    if (sentAs === undefined)
      throw refused(`no kind "${sentKind}" is registered for version "${sentVersion}" in scheme ${JSON.stringify(descriptor.scheme ?? "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30")}`);
    let object: Mutable;
    try {
      object = ((own ? descriptor.decode?.(body, report) : undefined) ?? decodeStruct(typeOf(sentAs), body, report)) as unknown as Mutable;
    } catch (e) {
      if (e instanceof DecodeError) throw (fault ?? refused)(e.message);
      throw e;
    }
    if (!own) throw newBadRequest(`the API version in the data (${sentVersion}) does not match the expected API version (${apiVersion})`);
    object.apiVersion = apiVersion;
    object.kind = kind;
    if (sentVersion !== apiVersion) given.extension?.defaultOlder(object, sentVersion);
    descriptor.setDefaults?.(object, report.empty);
    if (report.empty !== undefined) emptied.set(object, new Set(report.empty));
    const unknown = report.strict;
    // What is under an unknown field is not looked at.
    const twice = duplicates.filter((path) => !unknown.some((text) => path.startsWith(text.slice("unknown field \"".length, -1))));
    const strict = [...twice.map((path) => `duplicate field "${path}"`), ...unknown];
    return { object, headers: strictness(query.get("fieldValidation"), strict, fault ?? (info.verb === "patch" ? newBadRequest : refused)) };
  }

  /** A patched object that cannot be decoded is the patch's fault. */
  function decodePatched(info: RequestInfo, request: ApiRequest, patched: unknown): { object: Mutable; headers: Readonly<Record<string, string>> } {
    return decodeBody(info, patched, [], info.descriptor.custom === undefined ? (why) => patchFault(typeOf(info.descriptor), request, patched, why) : undefined);
  }

  function patchFault(type: string, request: ApiRequest, patched: unknown, why: string): ApiError {
    const errors = new FieldErrors();
    const [shown, said] = given.extension?.quote(type, mediaType(request), request.body, patched, why) ?? [JSON.stringify(patched), why];
    errors.invalid("patch", shown, said);
    return newInvalid({ group: "", kind: "" }, "", errors.list);
  }

  function strictness(mode: string | null, strict: readonly string[], refused: (why: string) => ApiError): Readonly<Record<string, string>> {
    if (strict.length === 0 || mode === "Ignore") return NO_HEADERS;
    if (mode === "Strict") throw refused(`strict decoding error: ${strict.join(", ")}`);
    return { warning: strict.map((text) => `299 - ${JSON.stringify(text)}`).join(", ") };
  }

  function managerOf(info: RequestInfo, user: Requester): string {
    const asked = info.query.get("fieldManager");
    if (asked !== null && asked !== "") return asked;
    const agent = user.userAgent.split("/")[0]!;
    return (agent === "" ? "unknown" : agent).slice(0, 128);
  }

  const isDryRun = (info: RequestInfo): boolean => {
    const values = info.query.getAll("dryRun");
    if (values.some((v) => v !== "All")) {
      const errors = new FieldErrors();
      errors.notSupported("dryRun", values, ["All"]);
      throw newInvalid({ group: "meta.k8s.io", kind: "DeleteOptions" }, "", errors.list);
    }
    return values.length > 0;
  };

  /** Which top-level fields a request to this (sub)resource leaves alone. */
  function resetFields({ descriptor, subresource }: RequestInfo): readonly string[] {
    if (descriptor.resetFields !== undefined) return descriptor.resetFields(subresource);
    if (!descriptor.hasStatus) return [];
    return subresource === "status" ? ["spec"] : ["status"];
  }

  function track(info: RequestInfo, user: Requester, before: KubeObject | undefined, after: Mutable): void {
    const kind = typeOf(info.descriptor);
    const through = info.subresource === "status" || info.subresource === "scale" || info.subresource === "finalize" || partOf(info) !== undefined ? info.subresource : "";
    const base = managedBase(after.metadata.managedFields, before?.metadata.managedFields, through);
    // Tracking starts at the creation or never (skipNonAppliedManager).
    if (before !== undefined && base.length === 0) {
      delete after.metadata.managedFields;
      return;
    }
    const updated = updateManagedFields({
      type: kind,
      apiVersion: after.apiVersion,
      before: (before ?? emptyStruct(kind)) as unknown as Record<string, unknown>,
      after: after as unknown as Record<string, unknown>,
      managed: base,
      manager: managerOf(info, user),
      subresource: through,
      reset: resetFields(info),
      time: now(),
    });
    const managed = given.extension?.tidied(updated) ?? updated;
    // The time of a scaling is not kept (ScaleHandler.ToParent).
    if (info.subresource === "scale") for (const [i, entry] of managed.entries()) if (entry.subresource === "scale") managed[i] = { ...entry, time: undefined } as unknown as typeof entry;
    // What comes through a built-in kind's Scale is kept without its time (fieldmanager.ScaleHandler).
    if (info.subresource === "scale" && info.descriptor.custom === undefined) for (const entry of managed) if (entry.subresource === "scale") delete (entry as { time?: string }).time;
    if (managed.length > 0) after.metadata.managedFields = managed;
    else delete after.metadata.managedFields;
  }

  /** NamespaceLifecycle: nothing is created in a namespace that is not there or on its way out. */
  async function admitNamespace(descriptor: Descriptor, namespace: string, name: string): Promise<void> {
    if (!descriptor.name.namespaced) return;
    const found = await storage.get(storageKey(namespaces, "", namespace));
    if (found === undefined) throw newNotFound(gr(namespaces), namespace);
    if ((found.value as Namespace).metadata.deletionTimestamp === undefined) return;
    const refusal = newForbidden(gr(descriptor), name, `unable to create new content in namespace ${namespace} because it is being terminated`);
    refusal.status.details!.causes = [{ reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" }];
    throw refusal;
  }

  async function create(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const dryRun = isDryRun(info);
    const { object, headers } = decodeBody(info, request.body, request.duplicates);
    info.descriptor.ascribe?.(object, user);
    const stored = await createObject(info, object, user, dryRun, () => track(info, user, undefined, object));
    return { status: 201, headers, body: stored };
  }

  /** As the object would come back from the store. */
  function settle(descriptor: Descriptor, object: Mutable): void {
    for (const path of emptied.get(object) ?? []) forgetEmpty(object, path.split("."));
    descriptor.readBack?.(object);
  }

  async function createObject(info: RequestInfo, object: Mutable, user: Requester, dryRun: boolean, trackFields: () => void): Promise<KubeObject> {
    const { descriptor, namespace } = info;
    const meta = object.metadata;
    if (descriptor.name.namespaced) {
      if (namespace === "") throw newMethodNotSupported(gr(descriptor), "create");
      if (meta.namespace !== undefined && meta.namespace !== namespace)
        throw newBadRequest("the namespace of the provided object does not match the namespace sent on the request");
      meta.namespace = namespace;
    } else delete meta.namespace;
    delete meta.deletionTimestamp;
    delete meta.deletionGracePeriodSeconds;
    delete meta.selfLink;
    trackFields();
    await admitNamespace(descriptor, namespace, meta.name ?? "");
    const asked: AdmissionRequest = { operation: "CREATE", descriptor, subresource: "", namespace, name: meta.name ?? "", object, user, dryRun, warn: (text) => void info.warnings.push(text) };
    if (admission === undefined) await descriptor.admitCreate?.(object, options);
    else await admission.admit(asked);
    // BeforeCreate: what the server decides.
    meta.uid = newUid(random);
    meta.creationTimestamp = now();
    const generated = meta.name === undefined && meta.generateName !== undefined;
    if (generated) meta.name = generateName(random, meta.generateName!);
    descriptor.prepareForCreate?.(object, options);
    const errors = new FieldErrors(emptied.get(object));
    // Claims come before validation, and fail alone (Store.BeginCreate).
    const rollback = descriptor.allocate?.(object, undefined, errors, dryRun ? dry() : options);
    if (errors.list.length === 0) {
      if (descriptor.whole !== true) validateObjectMeta(object, descriptor, errors);
      descriptor.validate?.(object, errors);
      if (errors.list.length === 0 && descriptor.whole === true) validateObjectMeta(object, { name: descriptor.name, validateName: validatePathSegment }, errors, false);
    }
    if (errors.list.length > 0) {
      rollback?.();
      throw invalid(descriptor, meta.name ?? "", errors);
    }
    info.warnings.push(...(descriptor.warnings?.(object, undefined) ?? []));
    try {
      if (admission !== undefined) await admission.validate({ ...asked, name: meta.name });
    } catch (e) {
      rollback?.();
      throw e;
    }
    settle(descriptor, object);
    const key = storageKey(descriptor, namespace, meta.name);
    if (dryRun) {
      rollback?.();
      if ((await storeOf(descriptor).get(key)) !== undefined) throw newAlreadyExists(gr(descriptor), meta.name);
      return deepFreeze(object);
    }
    if ((meta.resourceVersion ?? "") !== "") {
      rollback?.();
      throw plainFailure(500, "resourceVersion should not be set on objects to be created");
    }
    const result = await storeOf(descriptor).txn([{ key, modRevision: 0 }], [{ type: "put", key, value: object }]);
    if (result.succeeded) {
      const stored = result.written[0]!.value;
      await descriptor.committed?.(stored);
      return stored;
    }
    rollback?.();
    const error = newAlreadyExists(gr(descriptor), meta.name);
    if (result.current[0]?.value.metadata.deletionTimestamp !== undefined) error.status.message = `object is being deleted: ${error.status.message}`;
    throw error;
  }

  async function update(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const dryRun = isDryRun(info);
    const { object, headers } = decodeBody(info, request.body, request.duplicates);
    checkName(info, object);
    if (info.descriptor.allowCreateOnUpdate === true && info.subresource === "" && (await storeOf(info.descriptor).get(storageKey(info.descriptor, info.namespace, info.name))) === undefined) {
      delete (object.metadata as { resourceVersion?: string }).resourceVersion;
      const stored = await createObject(info, object, user, dryRun, () => track(info, user, undefined, object));
      return { status: 201, headers, body: stored };
    }
    // Each attempt starts from a fresh object: the hooks change it.
    const stored = await guaranteedUpdate(info, user, dryRun, () => decodeBody(info, request.body).object);
    return { status: 200, headers, body: stored };
  }

  /** The object must be the one the URL names. Follows rest.EnsureObjectNamespaceMatchesRequestNamespace and checkName. */
  function checkName(info: RequestInfo, { metadata: meta }: KubeObject): void {
    if (info.descriptor.name.namespaced) {
      if (meta.namespace !== undefined && meta.namespace !== info.namespace)
        throw newBadRequest("the namespace of the provided object does not match the namespace sent on the request");
      meta.namespace = info.namespace;
    } else delete meta.namespace;
    if (meta.name === undefined) throw newBadRequest(`the name of the object (${info.name} based on URL) was undeterminable: name must be provided`);
    if (meta.name !== info.name) throw newBadRequest(`the name of the object (${meta.name}) does not match the name on the URL (${info.name})`);
  }

  async function patch(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const dryRun = isDryRun(info);
    if (!PATCH_TYPE.test(mediaType(request)) && info.descriptor.custom === undefined) throw failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
    if (mediaType(request) === APPLY && given.extension !== undefined)
      return given.extension.apply({
        info, body: request.body, reset: resetFields(info), time: now(),
        decode: (body) => decodeBody(info, body),
        checkName: (object) => checkName(info, object),
        current: async () => (await storeOf(info.descriptor).get(storageKey(info.descriptor, info.namespace, info.name)))?.value,
        create(object, tracked) {
          info.descriptor.ascribe?.(object, user);
          return createObject(info, object, user, dryRun, tracked);
        },
        update: (change) => guaranteedUpdate(info, user, dryRun, change, true),
      });
    if (info.query.has("force")) {
      const errors = new FieldErrors();
      errors.forbidden("force", "may not be specified for non-apply patch");
      throw newInvalid({ group: "meta.k8s.io", kind: "PatchOptions" }, "", errors.list);
    }
    let warnings = NO_HEADERS;
    const stored = await guaranteedUpdate(info, user, dryRun, (current) => {
      const patched = applyPatch(request, info.descriptor, current);
      const { object, headers } = decodePatched(info, request, patched);
      warnings = headers;
      checkName(info, object);
      return object;
    });
    return { status: 200, headers: warnings, body: stored };
  }

  /** Read, change, write if nobody else did meanwhile; again where the client named no revision. */
  async function guaranteedUpdate(info: RequestInfo, user: Requester, dryRun: boolean, change: (current: KubeObject) => Mutable, tracked = false): Promise<KubeObject> {
    const { descriptor, name, namespace } = info;
    const key = storageKey(descriptor, namespace, name);
    const store = storeOf(descriptor);
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const current = await store.get(key);
      if (current === undefined) throw newNotFound(gr(descriptor), name);
      info.warnings.length = 0;
      const object = change(current.value);
      checkPreconditions(info, object, current, dryRun);
      beginUpdate(info, user, object, current.value, tracked);
      const asked: AdmissionRequest = { operation: "UPDATE", descriptor, subresource: info.subresource, namespace, name, object, old: current.value, user, dryRun, warn: (text) => void info.warnings.push(text) };
      if (admission !== undefined) await admission.admit(asked);
      const rollback = prepareUpdate(info, object, current.value, dryRun);
      if (info.subresource === "") info.warnings.push(...(descriptor.warnings?.(object, current.value) ?? []));
      try {
        if (admission !== undefined) await admission.validate(asked);
      } catch (e) {
        rollback?.();
        throw e;
      }
      settle(descriptor, object);
      if (deepEqual(object, current.value)) {
        rollback?.();
        return current.value;
      }
      const finished = isFinished(object);
      if (dryRun) {
        rollback?.();
        return deepFreeze(object);
      }
      const result = finished
        ? await store.txn([{ key, modRevision: current.modRevision }], [{ type: "delete", key }])
        : await store.txn([{ key, modRevision: current.modRevision }], [{ type: "put", key, value: object }]);
      if (result.succeeded) await descriptor.committed?.(object);
      if (result.succeeded) {
        if (finished) {
          descriptor.release?.(object, options);
          return deepFreeze(object);
        }
        releaseOld(descriptor, object, current.value);
        return result.written[0]!.value;
      }
      rollback?.();
    }
    throw newConflict(gr(descriptor), name, OPTIMISTIC_LOCK);
  }

  /** Claims of the old object that the new one does not have. */
  function releaseOld(descriptor: Descriptor, object: KubeObject, old: KubeObject): void {
    if (descriptor.release === undefined) return;
    const kept = new Set<unknown>();
    const claims = (o: KubeObject): { ip: string | undefined; ports: (number | undefined)[] } => {
      const spec = (o as unknown as { spec: { clusterIP?: string; ports?: { nodePort?: number }[]; healthCheckNodePort?: number } }).spec;
      return { ip: spec.clusterIP, ports: [...(spec.ports?.map((p) => p.nodePort) ?? []), spec.healthCheckNodePort] };
    };
    const next = claims(object);
    kept.add(next.ip);
    for (const port of next.ports) kept.add(port);
    const was = claims(old);
    if (was.ip !== undefined && was.ip !== "None" && !kept.has(was.ip)) options.serviceIPs.release(was.ip);
    for (const port of was.ports) if (port !== undefined && !kept.has(port)) options.nodePorts.release(port);
  }

  function checkPreconditions({ descriptor, name, verb }: RequestInfo, object: Mutable, current: KeyValue<KubeObject>, dryRun: boolean): void {
    const meta = object.metadata;
    const live = current.value.metadata;
    const sent = meta.resourceVersion ?? "";
    if (sent !== "" && !/^\d+$/.test(sent)) throw plainFailure(500, `strconv.ParseUint: parsing ${JSON.stringify(sent)}: invalid syntax`);
    // A patch is judged by validation instead: there the uid is immutable.
    if (verb === "update" && meta.uid !== undefined && meta.uid !== live.uid)
      throw newConflict(gr(descriptor), name, `StorageError: invalid object, Code: 4, Key: ${dryRun ? current.key.slice("/registry".length) : current.key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${meta.uid}, UID in object meta: ${live.uid}`);
    const unconditional = sent === "" || Number(sent) === 0;
    if (unconditional) {
      if (!descriptor.allowUnconditionalUpdate) {
        const errors = new FieldErrors();
        errors.list.push({ type: "FieldValueInvalid", field: "metadata.resourceVersion", message: "Invalid value: 0x0: must be specified for an update" });
        throw newInvalid({ group: descriptor.name.group, kind: descriptor.name.resource }, name, errors.list);
      }
    } else if (Number(sent) !== current.modRevision) throw newConflict(gr(descriptor), name, OPTIMISTIC_LOCK);
    meta.resourceVersion = live.resourceVersion;
    meta.uid ??= live.uid;
  }

  /** Managed fields, which know nothing of what admission changes. */
  function beginUpdate(info: RequestInfo, user: Requester, object: Mutable, old: KubeObject, tracked: boolean): void {
    if (info.descriptor.name.namespaced) object.metadata.namespace = info.namespace;
    if (!tracked) track(info, user, old, object);
  }

  /** Strategy and validation of an update. */
  function prepareUpdate(info: RequestInfo, object: Mutable, old: KubeObject, dryRun: boolean): (() => void) | undefined {
    const { descriptor, subresource } = info;
    const meta = object.metadata;
    const was = old.metadata;
    // BeforeUpdate: what an update cannot touch.
    meta.creationTimestamp = was.creationTimestamp;
    keep(meta, was, "generation");
    keep(meta, was, "generateName");
    if (meta.deletionTimestamp === undefined) keep(meta, was, "deletionTimestamp");
    keep(meta, was, "deletionGracePeriodSeconds");
    delete (meta as { selfLink?: string }).selfLink;
    const errors = new FieldErrors(emptied.get(object));
    let rollback: (() => void) | undefined;
    const part = partOf(info);
    if (part !== undefined) {
      part.prepare(object, old, options);
      validateObjectMetaUpdate(object, old, errors);
      part.validate(object, old, errors);
    } else if (subresource === "status") {
      descriptor.prepareForStatusUpdate?.(object, old);
      validateObjectMetaUpdate(object, old, errors);
      descriptor.validateStatusUpdate?.(object, old, errors);
    } else if (subresource === "finalize") {
      object.status = (old as Mutable).status;
    } else {
      descriptor.prepareForUpdate?.(object, old, options);
      rollback = descriptor.allocate?.(object, old, errors, dryRun ? dry() : options);
      if (errors.list.length > 0) {
        rollback?.();
        throw invalid(descriptor, meta.name, errors);
      }
      // Once as any object (rest.BeforeUpdate), once more as one of its kind: causes come twice, as upstream.
      validateObjectMetaUpdate(object, old, errors);
      if (descriptor.whole !== true) {
        validateObjectMetaUpdate(object, old, errors);
        descriptor.validate?.(object, errors, old);
      }
      descriptor.validateUpdate?.(object, old, errors);
    }
    if (errors.list.length === 0) return rollback;
    rollback?.();
    throw invalid(descriptor, meta.name, errors);
  }

  /** GET, PUT and PATCH of the Scale of an object. Follows pkg/registry/apps/deployment/storage ScaleREST. */
  async function scale(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const { descriptor, name, namespace, verb } = info;
    const { of, set, path } = descriptor.scale ?? REPLICAS;
    const found = await storeOf(descriptor).get(storageKey(descriptor, namespace, name));
    if (found === undefined) throw newNotFound({ group: descriptor.name.group, resource: `${descriptor.name.resource}/scale` }, name);
    if (verb === "get") return { status: 200, headers: NO_HEADERS, body: of(found.value) };
    const dryRun = isDryRun(info);
    const checked = (sent: Scale): number => {
      checkName(info, sent);
      const replicas = sent.spec?.replicas ?? 0;
      if (replicas >= 0 || descriptor.scale !== undefined) return replicas;
      const errors = new FieldErrors();
      errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0");
      throw newInvalid({ group: "autoscaling", kind: "Scale" }, name, errors.list);
    };
    const { extension } = given;
    if (verb === "patch" && mediaType(request) === APPLY && extension !== undefined) {
      const stored = await guaranteedUpdate(info, user, dryRun, (parent) => {
        const { replicas, managedFields } = extension.applyScale({ parent, scale: of(parent), body: request.body, path, manager: managerOf(info, user), force: isTrue(info.query.get("force")), time: now() });
        const next = deepCopy(parent) as Mutable;
        set(next, checked({ ...(request.body as Scale), spec: { replicas } }));
        if (managedFields.length > 0) next.metadata.managedFields = managedFields;
        else delete next.metadata.managedFields;
        return next;
      }, true);
      return { status: 200, headers: NO_HEADERS, body: of(stored) };
    }
    let headers = NO_HEADERS;
    const stored = await guaranteedUpdate(info, user, dryRun, (current) => {
      const scaled = (): Scale & KubeObject => {
        const shown = of(current) as Scale & KubeObject;
        const managedFields = extension?.scaleEntries(current.metadata.managedFields, path) ?? [];
        return managedFields.length === 0 ? shown : { ...shown, metadata: { ...shown.metadata, managedFields } };
      };
      const wanted = verb === "update" ? request.body : applyPatch(request, SCALE, scaled());
      const report: DecodeReport = { strict: [] };
      let sent: Scale;
      const refused = (why: string): ApiError => (verb === "update" ? newBadRequest(`Scale in version "v1" cannot be handled as a Scale: ${why}`) : patchFault("Scale", request, wanted, why));
      try {
        sent = decodeStruct("Scale", wanted, report) as unknown as Scale;
      } catch (e) {
        throw e instanceof DecodeError ? refused(e.message) : e;
      }
      headers = strictness(info.query.get("fieldValidation"), report.strict, refused);
      const replicas = checked(sent);
      const next = deepCopy(current) as Mutable;
      set(next, replicas);
      // Who names no revision scales what there is.
      if ((sent.metadata.resourceVersion ?? "") !== "" || descriptor.custom === undefined) next.metadata.resourceVersion = sent.metadata.resourceVersion;
      return next;
    });
    return { status: 200, headers, body: of(stored) };
  }

  /** POST pods/NAME/binding: the scheduler's word. Follows pkg/registry/core/pod/storage BindingREST. */
  async function bind(info: RequestInfo, request: ApiRequest): Promise<ApiResponse> {
    const binding = decodeStruct("Binding", request.body, { strict: [] }) as unknown as Binding;
    if (binding.metadata.name !== info.name) throw newBadRequest("name in URL does not match name in Binding object");
    // Plain field errors upstream, hence 500.
    if (binding.target.kind !== undefined && binding.target.kind !== "Node")
      throw plainFailure(500, `target.kind: Unsupported value: ${JSON.stringify(binding.target.kind)}: supported values: "Node", "<empty>"`);
    if ((binding.target.name ?? "") === "") throw plainFailure(500, "target.name: Required value");
    const dryRun = isDryRun(info);
    const pods = info.descriptor;
    const key = storageKey(pods, info.namespace, info.name);
    const conflict = (message: string): ApiError => newConflict({ group: "", resource: "pods/binding" }, info.name, message);
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const current = await storage.get(key);
      if (current === undefined) throw newNotFound(gr(pods), info.name);
      const pod = current.value as Pod & KubeObject;
      if (binding.metadata.uid !== undefined && binding.metadata.uid !== pod.metadata.uid)
        throw conflict(`Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${pod.metadata.uid}`);
      if (pod.metadata.deletionTimestamp !== undefined) throw conflict(`pod ${info.name} is being deleted, cannot be assigned to a host`);
      if (pod.spec.nodeName !== undefined) throw conflict(`pod ${info.name} is already assigned to node "${pod.spec.nodeName}"`);
      if ((pod.spec.schedulingGates ?? []).length > 0) throw conflict(`pod ${info.name} has non-empty .spec.schedulingGates`);
      if (dryRun) return { status: 201, headers: NO_HEADERS, body: { ...success(), code: 201 } };
      const time = now();
      const conditions = [...(pod.status.conditions ?? [])];
      const at = conditions.findIndex((c) => c.type === "PodScheduled");
      const condition = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: time } as unknown as NonNullable<Pod["status"]["conditions"]>[number];
      if (at >= 0) conditions[at] = condition;
      else conditions.push(condition);
      const annotations = binding.metadata.annotations;
      const next = {
        ...pod,
        metadata: { ...pod.metadata, ...(annotations === undefined ? {} : { annotations: { ...pod.metadata.annotations, ...annotations } }) },
        spec: { ...pod.spec, nodeName: binding.target.name! },
        status: { ...pod.status, conditions },
      };
      const result = await storage.txn([{ key, modRevision: current.modRevision }], [{ type: "put", key, value: next }]);
      if (result.succeeded) return { status: 201, headers: NO_HEADERS, body: { ...success(), code: 201 } };
    }
    throw conflict(OPTIMISTIC_LOCK);
  }

  async function remove(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const deleteOptions = parseDeleteOptions(request, info.query);
    const { deleteWarning } = info.descriptor;
    const headers = deleteWarning === undefined || deleteOptions.propagationPolicy !== undefined ? NO_HEADERS : { warning: `299 - ${JSON.stringify(deleteWarning)}` };
    const { object, gone } = await deleteObject(info, user, deleteOptions);
    if (!gone || info.descriptor.returnsDeleted === true) return { status: 200, headers, body: object };
    const { name, uid } = object.metadata;
    const { group, resource } = info.descriptor.name;
    return { status: 200, headers: NO_HEADERS, body: { ...success(), details: { name, ...(group === "" ? {} : { group }), kind: resource, uid } } };
  }

  async function removeCollection(info: RequestInfo, request: ApiRequest, user: Requester): Promise<ApiResponse> {
    const deleteOptions = parseDeleteOptions(request, info.query);
    const response = await reader.list(info);
    const list = response.body as { items: KubeObject[] };
    for (const { metadata } of list.items) {
      try {
        await deleteObject({ ...info, namespace: metadata.namespace ?? "", name: metadata.name }, user, deleteOptions);
      } catch (e) {
        if (!(e instanceof ApiError) || e.reason !== "NotFound") throw e;
      }
    }
    return response;
  }

  /** Deletes, or starts to. Follows Store.Delete, BeforeDelete and deletionFinalizersForGarbageCollection. */
  async function deleteObject(info: RequestInfo, user: Requester, asked: DeleteOptions): Promise<{ object: KubeObject; gone: boolean }> {
    const { descriptor, namespace, name } = info;
    const key = storageKey(descriptor, namespace, name);
    const isNamespace = descriptor === namespaces;
    const store = storeOf(descriptor);
    const own = descriptor.ownDeletion;
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const current = await store.get(key);
      if (current === undefined) throw newNotFound(gr(descriptor), name);
      const { value } = current;
      checkDeletePreconditions(descriptor, value, asked);
      const forbidden = descriptor.keeps?.(name);
      if (forbidden !== undefined) throw newForbidden(gr(descriptor), name, forbidden);
      if (admission !== undefined) {
        info.warnings.length = 0;
        await admission.validate({ operation: "DELETE", descriptor, subresource: "", namespace, name, old: value, user, dryRun: asked.dryRun, warn: (text) => void info.warnings.push(text) });
      }
      const finalizers = deletionFinalizers(value, asked, descriptor.orphansByDefault === true);
      if (own !== undefined && value.metadata.deletionTimestamp === undefined && !finalizers.includes(own.finalizer)) finalizers.push(own.finalizer);
      const grace = descriptor.gracePeriod?.(value, asked.gracePeriodSeconds) ?? 0;
      const blocked = finalizers.length > 0 || (isNamespace && ((value as Namespace).spec.finalizers ?? []).length > 0);
      const was = value.metadata;
      const compare = [{ key, modRevision: current.modRevision }];
      // A graceful deletion that is cut short shows as such before the object goes.
      const cutShort = was.deletionTimestamp !== undefined && (was.deletionGracePeriodSeconds ?? 0) > 0;
      if (grace === 0 && !blocked && !(cutShort && !asked.dryRun)) {
        if (asked.dryRun) return { object: value, gone: true };
        const result = await store.txn(compare, [{ type: "delete", key }]);
        if (!result.succeeded) continue;
        descriptor.release?.(value, options);
        await descriptor.committed?.(value);
        const left = was.deletionTimestamp !== undefined || descriptor.gracePeriod === undefined ? {} : { deletionTimestamp: now() };
        const last = { ...value, metadata: { ...was, ...left, ...(descriptor.gracePeriod === undefined ? {} : { deletionGracePeriodSeconds: 0 }) } };
        return { object: deepFreeze(last), gone: true };
      }
      // A deletion under way is only ever shortened.
      const pending = was.deletionTimestamp !== undefined;
      const shorter = !pending || (asked.gracePeriodSeconds !== undefined && grace < (was.deletionGracePeriodSeconds ?? 0));
      const sameFinalizers = deepEqual(finalizers, was.finalizers ?? []);
      if (!shorter && sameFinalizers) return { object: value, gone: false };
      const metadata = { ...was };
      if (shorter) {
        const base = pending ? Date.parse(was.deletionTimestamp!) - (was.deletionGracePeriodSeconds ?? 0) * 1000 : clock.nowMs();
        metadata.deletionTimestamp = formatTime(base + grace * 1000);
        metadata.deletionGracePeriodSeconds = grace;
        if (was.generation !== undefined && !pending && own === undefined) metadata.generation = was.generation + 1;
      }
      if (finalizers.length > 0) metadata.finalizers = finalizers;
      else delete metadata.finalizers;
      const next = { ...value, metadata } as Mutable;
      if (isNamespace) {
        next.status = { ...(value as Namespace).status, phase: "Terminating" };
        delete (metadata as { deletionGracePeriodSeconds?: number }).deletionGracePeriodSeconds;
      }
      if (own !== undefined && !pending) {
        delete (metadata as { deletionGracePeriodSeconds?: number }).deletionGracePeriodSeconds;
        own.mark(next, metadata.deletionTimestamp!);
      }
      if (asked.dryRun) return { object: deepFreeze(next), gone: false };
      const result = await store.txn(compare, [{ type: "put", key, value: next }]);
      if (!result.succeeded) continue;
      if (grace === 0 && !blocked && cutShort) continue;
      await descriptor.committed?.(result.written[0]!.value);
      return { object: result.written[0]!.value, gone: false };
    }
    throw newConflict(gr(descriptor), name, OPTIMISTIC_LOCK);
  }

  function checkDeletePreconditions(descriptor: Descriptor, { metadata }: KubeObject, asked: DeleteOptions): void {
    const subject = { group: descriptor.name.group, resource: descriptor.name.kind };
    if (asked.uid !== undefined && asked.uid !== metadata.uid)
      throw newConflict(subject, metadata.name, `the UID in the precondition (${asked.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`);
    if (asked.resourceVersion !== undefined && asked.resourceVersion !== metadata.resourceVersion)
      throw newConflict(subject, metadata.name, `the ResourceVersion in the precondition (${asked.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`);
  }

  return { dispatch };
}

/** An empty list that has to be written comes back from the store as null. */
function forgetEmpty(object: unknown, steps: readonly string[]): void {
  let at = object as Record<string, unknown> | undefined;
  for (const [i, step] of steps.entries()) {
    const [name = "", index] = step.replace("]", "").split("[");
    const value = at?.[name];
    if (i === steps.length - 1) {
      if (Array.isArray(value) && value.length === 0) at![name] = null;
      return;
    }
    at = (index === undefined ? value : (value as unknown[] | undefined)?.[Number(index)]) as Record<string, unknown> | undefined;
  }
}

/** Whether it is a version that upstream's scheme still converts from: a patch may change to it, which changes nothing. */
const isOlder = (apiVersion: string, { group }: Descriptor["name"]): boolean => group !== "" && (apiVersion === `${group}/v1beta1` || apiVersion === "apps/v1beta2");

/** The first bytes of a text that is no object. Follows summarizeData of rest.go. */
function hex(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return `${Array.from(bytes.subarray(0, 30), (byte) => (byte + 256).toString(16).slice(1)).join("")}${bytes.length > 30 ? " ..." : ""}`;
}

const mediaType = ({ headers }: ApiRequest): string => (headers?.["content-type"] ?? "").split(";")[0]!.trim();

const APPLY = "application/apply-patch+yaml";

const PATCH_TYPE = /^application\/(?:(?:json|merge|strategic-merge)-patch\+json|apply-patch\+yaml)$/;

const SCALE = { name: { kind: "Scale" } } as Descriptor;

/** The patched form of an object of this kind. Throws 415 for a patch type that is not known. */
function applyPatch(request: ApiRequest, descriptor: Descriptor, current: unknown): unknown {
  const { body } = request;
  switch (mediaType(request)) {
    case "application/merge-patch+json":
      if (Array.isArray(body)) throw newBadRequest("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}");
      if (typeof body !== "object" || body === null) throw newBadRequest("Invalid JSON Patch");
      return mergePatch(current, body);
    case "application/json-patch+json": return jsonPatch(current, body);
    case "application/strategic-merge-patch+json":
      if (descriptor.custom === undefined) return strategicMergePatch(typeOf(descriptor), current, body);
      break;
  }
  throw newUnsupportedMediaType(`the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, ${descriptor.custom === undefined ? "application/strategic-merge-patch+json" : "application/apply-patch+yaml"}`);
}

const REPLICAS: NonNullable<Descriptor["scale"]> = {
  path: ["spec", "replicas"],
  of: scaleOf,
  set(object, replicas) {
    (object as unknown as { spec: { replicas: number } }).spec.replicas = replicas;
  },
};

/** The Scale of a Deployment or ReplicaSet. */
function scaleOf(object: KubeObject): Scale {
  const { metadata, spec, status } = object as Deployment & KubeObject;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const selector = formatSelector(labelSelector(spec.selector));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: spec.replicas === 0 || spec.replicas === undefined ? {} : { replicas: spec.replicas },
    status: { replicas: status.replicas ?? 0, selector },
  };
}

function keep<K extends keyof KubeObject["metadata"]>(meta: KubeObject["metadata"], was: KubeObject["metadata"], field: K): void {
  if (was[field] === undefined) delete meta[field];
  else meta[field] = was[field];
}

/** Whether nothing holds a deleted object any more. */
function isFinished(object: Mutable): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds > 0 || finalizers.length > 0) return false;
  const held = (object.spec as { finalizers?: string[] } | undefined)?.finalizers ?? [];
  return held.length === 0;
}

/** The finalizers after a deletion was asked for with this policy. Follows deletionFinalizersForGarbageCollection. */
function deletionFinalizers({ metadata }: KubeObject, asked: DeleteOptions, orphans: boolean): string[] {
  const existing = metadata.finalizers ?? [];
  const said = existing.includes("orphan") || existing.includes("foregroundDeletion");
  const propagationPolicy = asked.propagationPolicy ?? (orphans && !said ? "Orphan" : undefined);
  if (propagationPolicy === undefined) return [...existing];
  const out = existing.filter((f) => f !== "orphan" && f !== "foregroundDeletion");
  if (propagationPolicy === "Orphan") out.push("orphan");
  if (propagationPolicy === "Foreground") out.push("foregroundDeletion");
  return out;
}

function success(): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
}

/** Failures that carry no reason (plain Go errors upstream). */
export function plainFailure(code: number, message: string): ApiError {
  return failure(code, "", message);
}

function methodNotAllowed(): ApiError {
  return failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
}
