/**
 * Who depends on whom, as far as watches have told. Follows pkg/controller/garbagecollector/graph.go and graph_builder.go: an owner
 * that was never seen has a virtual node, whose coordinates are those that a dependent gave it.
 */
import type { OwnerReference } from "../../api/types.generated.ts";
import { deepEqual, type KubeObject } from "../../apimachinery/meta.ts";

export const ORPHAN = "orphan";
export const FOREGROUND = "foregroundDeletion";

/** Where an object is. `namespace` is "" at the scope of the cluster. */
export interface Identity {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
}

export interface GraphNode {
  identity: Identity;
  readonly dependents: Set<GraphNode>;
  owners: readonly OwnerReference[];
  /** Waits for its dependents to go (foreground deletion). */
  deletingDependents: boolean;
  beingDeleted: boolean;
  /** Known from references alone. */
  virtual: boolean;
}

/** What follows from an event. */
export interface GraphSink {
  attemptToDelete(node: GraphNode): void;
  attemptToOrphan(node: GraphNode): void;
  /** A reference that names an owner of another namespace. */
  invalidNamespace(node: GraphNode, owner: OwnerReference): void;
  /** Nothing is at these coordinates. */
  absent(identity: Identity): void;
}

export interface Graph {
  node(uid: string): GraphNode | undefined;
  /** The object is there as `object`; `old` is what was known before. */
  put(identity: Identity, object: KubeObject, old: KubeObject | undefined): void;
  delete(identity: Identity): void;
  /** The server knows nothing at these coordinates. */
  deleteVirtual(identity: Identity): void;
}

export const identityOf = ({ apiVersion, kind }: { apiVersion: string; kind: string }, { metadata }: KubeObject): Identity =>
  ({ apiVersion, kind, name: metadata.name, uid: metadata.uid, namespace: metadata.namespace ?? "" });

/** As upstream prints it: `[v1/ConfigMap, namespace: a, name: b, uid: c]`. */
export const printIdentity = ({ apiVersion, kind, namespace, name, uid }: Identity): string => `[${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`;

const same = (a: Identity, b: Identity): boolean => a.apiVersion === b.apiVersion && a.kind === b.kind && a.name === b.name && a.uid === b.uid && a.namespace === b.namespace;
const isDeleting = (object: KubeObject | undefined, finalizer: string): boolean =>
  object?.metadata.deletionTimestamp !== undefined && object.metadata.finalizers?.includes(finalizer) === true;

/** Whether the dependent's reference means what is at these coordinates. */
function refersTo(dependent: GraphNode, owner: Identity): boolean {
  if (owner.namespace !== "" && dependent.identity.namespace !== owner.namespace) return false;
  return dependent.owners.some((ref) => ref.uid === owner.uid && ref.name === owner.name && ref.kind === owner.kind && ref.apiVersion === owner.apiVersion);
}

export function createGraph(sink: GraphSink): Graph {
  const nodes = new Map<string, GraphNode>();

  function addToOwners(node: GraphNode, owners: readonly OwnerReference[]): void {
    let suspect = false;
    for (const ref of owners) {
      let owner = nodes.get(ref.uid);
      const known = owner !== undefined;
      if (owner === undefined) {
        const { apiVersion, kind, name, uid } = ref;
        owner = { identity: { apiVersion, kind, name, uid, namespace: node.identity.namespace }, dependents: new Set(), owners: [], deletingDependents: false, beingDeleted: false, virtual: true };
        nodes.set(uid, owner);
      }
      owner.dependents.add(node);
      // The collector asks whether the owner exists.
      if (!known) {
        sink.attemptToDelete(owner);
        continue;
      }
      if (suspect) continue;
      const at = owner.identity;
      if (at.namespace !== "" && at.namespace !== node.identity.namespace) {
        if (!owner.virtual) sink.invalidNamespace(node, ref);
        suspect = true;
      } else if (ref.apiVersion !== at.apiVersion || ref.kind !== at.kind || ref.name !== at.name) suspect = true;
      else if (at.namespace === "" && node.identity.namespace !== "" && owner.virtual) suspect = true;
    }
    if (suspect) sink.attemptToDelete(node);
  }

  function removeFromOwners(node: GraphNode, owners: readonly OwnerReference[]): void {
    for (const { uid } of owners) {
      const owner = nodes.get(uid);
      owner?.dependents.delete(node);
      // Nobody refers to what was never seen any more.
      if (owner?.virtual === true && owner.dependents.size === 0) nodes.delete(uid);
    }
  }

  /** Owners that wait for their dependents and need not wait for this one any more. */
  function unblock(removed: readonly OwnerReference[], changed: readonly (readonly [old: OwnerReference, now: OwnerReference])[]): void {
    const free = [...removed.filter((ref) => ref.blockOwnerDeletion === true), ...changed.filter(([old, now]) => old.blockOwnerDeletion === true && now.blockOwnerDeletion !== true).map(([old]) => old)];
    for (const { uid } of free) {
      const owner = nodes.get(uid);
      if (owner !== undefined) sink.attemptToDelete(owner);
    }
  }

  /** What the object has come to: the two ways of waiting for dependents. */
  function transitions(old: KubeObject | undefined, object: KubeObject, node: GraphNode): void {
    if (isDeleting(object, ORPHAN) && !isDeleting(old, ORPHAN)) {
      sink.attemptToOrphan(node);
      return;
    }
    if (!isDeleting(object, FOREGROUND) || isDeleting(old, FOREGROUND)) return;
    node.deletingDependents = true;
    for (const dependent of node.dependents) sink.attemptToDelete(dependent);
    sink.attemptToDelete(node);
  }

  /** A virtual node turns out to be a real object, perhaps with other coordinates than thought. */
  function observe(node: GraphNode, identity: Identity): void {
    if (!same(node.identity, identity)) {
      node.identity = identity;
      for (const dependent of node.dependents) {
        if (refersTo(dependent, identity)) continue;
        const ref = dependent.owners.find(({ uid }) => uid === identity.uid);
        if (ref !== undefined && identity.namespace !== "" && dependent.identity.namespace !== identity.namespace) sink.invalidNamespace(dependent, ref);
        sink.attemptToDelete(dependent);
      }
    }
    node.virtual = false;
  }

  function remove(node: GraphNode, identity: Identity): void {
    nodes.delete(node.identity.uid);
    removeFromOwners(node, node.owners);
    if (node.dependents.size > 0) sink.absent(identity);
    for (const dependent of node.dependents) sink.attemptToDelete(dependent);
    for (const { uid } of node.owners) {
      const owner = nodes.get(uid);
      if (owner?.deletingDependents === true) sink.attemptToDelete(owner);
    }
  }

  return {
    node: (uid) => nodes.get(uid),
    put(identity, object, old) {
      const owners = object.metadata.ownerReferences ?? [];
      const beingDeleted = object.metadata.deletionTimestamp !== undefined;
      const node = nodes.get(identity.uid);
      if (node === undefined) {
        const made: GraphNode = { identity, dependents: new Set(), owners, beingDeleted, deletingDependents: isDeleting(object, FOREGROUND), virtual: false };
        nodes.set(identity.uid, made);
        addToOwners(made, owners);
        transitions(old, object, made);
        return;
      }
      if (node.virtual) observe(node, identity);
      if (!deepEqual(node.owners, owners)) {
        const before = new Map(node.owners.map((ref) => [ref.uid, ref]));
        const after = new Map(owners.map((ref) => [ref.uid, ref]));
        const removed = [...before.values()].filter(({ uid }) => !after.has(uid));
        const changed = [...after.values()].flatMap((ref) => {
          const was = before.get(ref.uid);
          return was === undefined || deepEqual(was, ref) ? [] : [[was, ref] as const];
        });
        unblock(removed, changed);
        node.owners = owners;
        addToOwners(node, [...after.values()].filter(({ uid }) => !before.has(uid)));
        removeFromOwners(node, removed);
      }
      if (beingDeleted) node.beingDeleted = true;
      transitions(old, object, node);
    },
    delete(identity) {
      const node = nodes.get(identity.uid);
      if (node !== undefined) remove(node, identity);
    },
    deleteVirtual(identity) {
      const node = nodes.get(identity.uid);
      if (node === undefined) return;
      const fitting = [...node.dependents].filter((dependent) => refersTo(dependent, identity));
      if (!node.virtual && same(node.identity, identity)) return remove(node, identity);
      const others = [...node.dependents].filter((dependent) => !refersTo(dependent, identity));
      if (node.virtual && others.length === 0) return remove(node, identity);
      // What is known of the owner, or what others say of it, is something else than what was looked for.
      if (fitting.length > 0) {
        sink.absent(identity);
        for (const dependent of fitting) sink.attemptToDelete(dependent);
      }
      if (!node.virtual || !same(node.identity, identity)) return;
      const alternative = others.flatMap((dependent) => dependent.owners.filter(({ uid }) => uid === identity.uid)
        .map(({ apiVersion, kind, name, uid }): Identity => ({ apiVersion, kind, name, uid, namespace: dependent.identity.namespace })))
        .filter((candidate) => !same(candidate, identity)).sort((a, b) => (printIdentity(a) < printIdentity(b) ? -1 : 1))[0];
      if (alternative === undefined) return;
      node.identity = alternative;
      sink.attemptToDelete(node);
    },
  };
}
