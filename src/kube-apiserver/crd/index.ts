/**
 * CustomResourceDefinitions: the resource itself, the naming, establishing and finalizing of definitions, and which custom resources are
 * served. A definition is served within the request that establishes it. Follows k8s.io/apiextensions-apiserver/pkg/registry/
 * customresourcedefinition, pkg/controller/status, pkg/controller/establish, pkg/controller/finalizer and pkg/apiserver.
 *
 * What judges and compiles schemas (`engine.ts`) is loaded when the first definition comes.
 */
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { formatTime } from "../../apimachinery/time.ts";
import type { KeyValue } from "../../storage/storage.ts";
import type { DynamicOptions, DynamicResources } from "../extension.ts";
import { updateManagedFields } from "../managed-fields.ts";
import type { Descriptor } from "../registry/descriptor.ts";
import { acceptNames, approvalCondition, setCondition } from "./naming.ts";
import type { Condition, Definition, DefinitionStatus } from "./types.ts";
import { loaded } from "../../time/loading.ts";

type Engine = typeof import("./engine.ts");

const GROUP = "apiextensions.k8s.io";
const PREFIX = `${GROUP}/customresourcedefinitions`;
const FINALIZER = "customresourcecleanup.apiextensions.k8s.io";
/** How long after the deletion of a definition its objects go. */
const CLEANUP_MS = 100;
const RETRIES_MAX = 10;

interface Served {
  readonly definition: Definition;
  readonly descriptors: readonly Descriptor[];
  /** Gives back what the descriptors hold. */
  release(): void;
}

/** `announce` is told when other resources are served than before. */
export function createCustomResources({ fixed, storage, clock, random, fetch }: DynamicOptions, announce: (registry: readonly Descriptor[]) => void = () => {}): DynamicResources {
  let engine: Engine | undefined;
  const load = async (): Promise<Engine> => (engine ??= await loaded(import("./engine.ts")));
  const served = new Map<string, Served>();
  const keyOf = (name: string): string => `/registry/${PREFIX}/${name}`;
  const now = (): string => formatTime(clock.nowMs());

  const definitions: Descriptor<Definition> = {
    name: { group: GROUP, version: "v1", kind: "CustomResourceDefinition", resource: "customresourcedefinitions", namespaced: false },
    scheme: "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:53",
    storagePrefix: PREFIX,
    hasStatus: true,
    returnsDeleted: true,
    allowUnconditionalUpdate: false,
    // Judged with the spec, which it follows from.
    validateName: () => [],
    prepare: (verb) => (verb === "create" || verb === "update" || verb === "patch" ? load().then(() => {}) : undefined),
    decode: (body, report) => engine!.decodeDefinition(body, report),
    prepareForCreate(crd) {
      delete (crd.metadata as { namespace?: string }).namespace;
      crd.metadata.generation = 1;
      const stored = (crd.spec.versions ?? []).filter((v) => v.storage).map((v) => v.name);
      crd.status = { conditions: null, acceptedNames: { plural: "", kind: "" }, ...(stored.length === 0 ? {} : { storedVersions: [...new Set(stored)] }) };
    },
    prepareForUpdate(crd, old) {
      const missing = crd.spec.versions.filter((v) => v.storage && old.status.storedVersions?.includes(v.name) !== true).map((v) => v.name);
      crd.status = missing.length === 0 ? old.status : { ...old.status, storedVersions: [...(old.status.storedVersions ?? []), ...missing] };
      if (!deepEqual(crd.spec, old.spec)) crd.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    prepareForStatusUpdate(crd, old) {
      crd.spec = old.spec;
    },
    validate(crd, errors, old) {
      if (old === undefined && crd.metadata.name !== undefined && crd.metadata.name !== "")
        errors.list.unshift(...engine!.nameProblems(crd).map((problem) => engine!.invalid("metadata.name", crd.metadata.name, problem)));
      errors.list.push(...engine!.validateDefinition(crd, old));
    },
    validateStatusUpdate(crd, _old, errors) {
      engine!.validateStatus(crd, errors.list);
    },
    ownDeletion: {
      finalizer: FINALIZER,
      mark(crd, time) {
        crd.status = setCondition(crd.status, {
          type: "Terminating", status: "True", reason: "InstanceDeletionPending", message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        }, time);
      },
    },
    committed: ({ metadata }) => sync(metadata.name),
  };
  const base = [...fixed, definitions as unknown as Descriptor];
  let registry: readonly Descriptor[] = base;

  /** Brings names, conditions and what is served to what the stored definition says. */
  async function sync(name: string): Promise<void> {
    const found = (await storage.get(keyOf(name))) as KeyValue<Definition> | undefined;
    if (found === undefined) {
      const gone = served.get(name);
      serve(name, undefined);
      // Its names are free.
      if (gone !== undefined) await syncGroup(gone.definition.spec.group, name);
      return;
    }
    const definition = found.value;
    if (definition.metadata.deletionTimestamp !== undefined) {
      serve(name, definition);
      clock.after(CLEANUP_MS, () => void clean(name).catch(() => {}));
      return;
    }
    const status = await statusOf(definition);
    if (deepEqual(status, definition.status)) {
      serve(name, definition);
      return;
    }
    const next = await writeStatus(found, status);
    // Somebody else was quicker: their change is synced by them.
    if (next === undefined) return;
    serve(name, next);
    if (!deepEqual(status.acceptedNames, definition.status.acceptedNames)) await syncGroup(definition.spec.group, name);
  }

  async function all(): Promise<Definition[]> {
    return (await storage.range(`/registry/${PREFIX}/`)).items.map(({ value }) => value as Definition);
  }

  /** Definitions of the group whose names were taken may have them now. */
  async function syncGroup(group: string, except: string): Promise<void> {
    for (const { metadata, spec, status } of await all())
      if (spec.group === group && metadata.name !== except && !deepEqual(spec.names, status.acceptedNames)) await sync(metadata.name);
  }

  async function statusOf(definition: Definition): Promise<DefinitionStatus> {
    const others = (await all()).filter(({ metadata, spec }) => spec.group === definition.spec.group && metadata.name !== definition.metadata.name);
    let status = acceptNames(definition, others, now());
    const approval = approvalCondition(definition);
    if (approval !== undefined) status = setCondition(status, approval, now());
    return status;
  }

  /** The stored definition; undefined when it changed meanwhile. */
  async function writeStatus({ value, key, modRevision }: KeyValue<Definition>, status: DefinitionStatus): Promise<Definition | undefined> {
    const next: Definition = { ...value, metadata: { ...value.metadata }, status };
    if (value.metadata.managedFields !== undefined)
      next.metadata.managedFields = updateManagedFields({
        type: "CustomResourceDefinition", apiVersion: value.apiVersion, before: value as unknown as Record<string, unknown>, after: next as unknown as Record<string, unknown>,
        managed: value.metadata.managedFields, manager: "kube-apiserver", subresource: "status", reset: ["spec"], time: now(),
      });
    const result = await storage.txn([{ key, modRevision }], [{ type: "put", key, value: next as KubeObject }]);
    return result.succeeded ? (result.written[0]!.value as Definition) : undefined;
  }

  /** Serves the versions of a definition, or no more (undefined). */
  function serve(name: string, definition: Definition | undefined): void {
    const before = served.get(name);
    const established = definition !== undefined && isTrue(definition, "Established");
    if (before !== undefined && established && before.definition.metadata.uid === definition.metadata.uid && deepEqual(before.definition.spec, definition.spec)
      && deepEqual(before.definition.status.acceptedNames, definition.status.acceptedNames) && before.definition.metadata.deletionTimestamp === definition.metadata.deletionTimestamp) return;
    before?.release();
    served.delete(name);
    if (established) served.set(name, engine!.createResources(definition, { storage, random, fetch, changed: () => changed(name) }));
    registry = [...base, ...[...served.keys()].sort().flatMap((key) => served.get(key)!.descriptors)];
    announce(registry);
  }

  /** An object of a definition that is being deleted changed: it may have been the last. */
  async function changed(name: string): Promise<void> {
    if (served.get(name)?.definition.metadata.deletionTimestamp !== undefined) await finish(name);
  }

  /** Deletes the objects of a definition that is being deleted. Follows crd_finalizer.go. */
  async function clean(name: string): Promise<void> {
    const found = (await storage.get(keyOf(name))) as KeyValue<Definition> | undefined;
    if (found?.value.metadata.deletionTimestamp === undefined || found.value.metadata.finalizers?.includes(FINALIZER) !== true) return;
    for (const { key, value, modRevision } of (await storage.range(objectsOf(found.value))).items) {
      const { metadata } = value;
      const compare = [{ key, modRevision }];
      if ((metadata.finalizers ?? []).length === 0) await storage.txn(compare, [{ type: "delete", key }]);
      else if (metadata.deletionTimestamp === undefined) {
        const marked = { ...metadata, deletionTimestamp: now(), deletionGracePeriodSeconds: 0, generation: (metadata.generation ?? 0) + 1 };
        await storage.txn(compare, [{ type: "put", key, value: { ...value, metadata: marked } }]);
      }
    }
    await finish(name);
  }

  const objectsOf = ({ spec }: Definition): string => `/registry/${spec.group}/${spec.names.plural!}/`;

  /** Lets a definition go whose objects are gone; says what it waits for otherwise. */
  async function finish(name: string): Promise<void> {
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const found = (await storage.get(keyOf(name))) as KeyValue<Definition> | undefined;
      if (found === undefined || found.value.metadata.finalizers?.includes(FINALIZER) !== true) return sync(name);
      const { value, key, modRevision } = found;
      if ((await storage.range(objectsOf(value), { limit: 1 })).count > 0) {
        const waiting: Condition = { type: "Terminating", status: "True", reason: "InstanceDeletionInProgress", message: "CustomResource deletion is in progress" };
        const status = setCondition(value.status, waiting, now());
        if (deepEqual(status, value.status) || (await writeStatus(found, status)) !== undefined) return;
        continue;
      }
      const finalizers = (value.metadata.finalizers ?? []).filter((f) => f !== FINALIZER);
      const status = setCondition(value.status, { type: "Terminating", status: "False", reason: "InstanceDeletionCompleted", message: "removed all instances" }, now());
      const { finalizers: _gone, ...metadata } = value.metadata;
      const left: Definition = { ...value, metadata: finalizers.length === 0 ? metadata : { ...metadata, finalizers }, status };
      const result = await storage.txn([{ key, modRevision }], [finalizers.length === 0 ? { type: "delete", key } : { type: "put", key, value: left as KubeObject }]);
      if (result.succeeded) return sync(name);
    }
  }

  return {
    registry: () => registry,
    async load() {
      const stored = await all();
      if (stored.length === 0) return;
      await load();
      for (const { metadata } of stored) await sync(metadata.name);
    },
  };
}

const isTrue = ({ status }: Definition, type: string): boolean => (status.conditions ?? []).some((c) => c.type === type && c.status === "True");
