/** The volumes of one pod: mounted before its sandbox, kept fresh, and given to its containers. Follows kubernetes pkg/kubelet/volumemanager and pkg/volume. */
import { parseQuantity } from "../../../apimachinery/quantity.ts";
import { ApiError, isNotFound } from "../../../apimachinery/status.ts";
import type { Container, EphemeralContainer, PersistentVolume, PersistentVolumeClaim, Pod, Volume } from "../../../api/types.generated.ts";
import type { EventRecorder } from "../../../client/events.ts";
import type { ContainerConfig, Mount, Volume as Tree, VolumeOptions } from "../../../cri/types.ts";
import type { Logger } from "../../../log.ts";
import { ConfigError, expand } from "../../container-config.ts";
import { contents, isMade, type ContentSources } from "./contents.ts";
import type { HostFiles } from "./host.ts";
import { memoryVolume, mountReader } from "./memory.ts";

export interface VolumeDeps extends ContentSources {
  readonly events: EventRecorder;
  readonly log: Logger;
  readonly newVolume: ((options?: VolumeOptions) => Tree) | undefined;
  readonly host: HostFiles;
  /** Trees of storage that is not the node's own, by what names it there: one for all pods of the node. */
  readonly remote: Map<string, Tree>;
}

interface Mounted {
  readonly volume: Volume;
  readonly tree: Tree;
  /** Where in the tree it begins. */
  readonly root: string;
  renewAtMs: number;
}

/** What one volume of a pod uses, for stats and limits. */
export interface VolumeUse {
  readonly name: string;
  readonly volume: Volume;
  readonly usedBytes: number;
  readonly inodes: number;
  readonly claim?: string;
}

/** The pauses between tries (exponentialbackoff). */
const RETRY_MS = 500;
const RETRY_MAX_MS = 122_000;

export class PodVolumes {
  private readonly deps: VolumeDeps;
  private readonly mounted = new Map<string, Mounted>();
  private retryMs = RETRY_MS;

  constructor(deps: VolumeDeps) {
    this.deps = deps;
  }

  /** Undefined: all are there. With `refresh`, contents that the kubelet makes are made anew. */
  async mount(pod: Pod, refresh: boolean): Promise<{ readonly retryMs: number } | undefined> {
    let failed = false;
    for (const volume of pod.spec.volumes ?? []) {
      const known = this.mounted.get(volume.name);
      if (known !== undefined && !(isMade(volume) && (volume.projected === undefined || !isToken(volume) ? refresh : this.deps.nowMs() >= known.renewAtMs))) continue;
      let subject = volume.name;
      try {
        const claimed = await this.claimed(pod, volume);
        if (claimed !== undefined) subject = claimed.metadata.name;
        this.mounted.set(volume.name, await this.open(pod, volume, known, claimed));
      } catch (error) {
        failed ||= known === undefined;
        if (error instanceof Unbound) {
          this.deps.log.error("Error processing volume", { pod: pod.metadata.name, volume: volume.name, err: error.message });
          continue;
        }
        const about = error instanceof NoMounter ? "MountVolume.NewMounter initialization failed" : "MountVolume.SetUp failed";
        this.deps.events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", "FailedMount", `${about} for volume "${subject}" : ${(error as Error).message}`);
      }
    }
    if (!failed) {
      this.retryMs = RETRY_MS;
      return undefined;
    }
    const { retryMs } = this;
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
    return { retryMs };
  }

  /** Whether something in it has to be made anew from time to time, and when a token is due. */
  get refreshes(): boolean {
    return [...this.mounted.values()].some(({ volume }) => isMade(volume) && !isToken(volume));
  }

  get renewAtMs(): number {
    return Math.min(...[...this.mounted.values()].map(({ renewAtMs }) => renewAtMs));
  }

  private newTree(options?: VolumeOptions): Tree {
    return (this.deps.newVolume ?? memoryVolume)(options);
  }

  private async open(pod: Pod, volume: Volume, known: Mounted | undefined, claimed: PersistentVolume | undefined): Promise<Mounted> {
    const gid = pod.spec.securityContext?.fsGroup;
    const owner = gid === undefined ? {} : { gid };
    const of = (tree: Tree, root = ""): Mounted => ({ volume, tree, root, renewAtMs: Infinity });
    if (isMade(volume)) {
      const { files, renewAtMs = Infinity } = await contents(pod, volume, this.deps);
      const tree = known?.tree ?? this.newTree(owner);
      tree.setFiles(files);
      return { volume, tree, root: "", renewAtMs };
    }
    if (volume.emptyDir !== undefined) {
      const { medium, sizeLimit } = volume.emptyDir;
      const bytesMax = medium === "Memory" && sizeLimit !== undefined ? Number(parseQuantity(sizeLimit).nano / 1_000_000_000n) : undefined;
      return of(this.newTree({ ...owner, ...(bytesMax === undefined || bytesMax === 0 ? {} : { bytesMax }) }));
    }
    if (volume.hostPath !== undefined) return of(this.deps.host.volume, this.deps.host.open(volume.hostPath));
    if (claimed === undefined) {
      const { nfs } = volume;
      return of(nfs === undefined ? this.newTree(owner) : this.remote(`nfs:${nfs.server}:${nfs.path}`));
    }
    const { hostPath, local, nfs, csi } = claimed.spec;
    if (hostPath !== undefined) return of(this.deps.host.volume, this.deps.host.open(hostPath));
    if (local !== undefined) {
      if (!this.deps.host.has(local.path)) throw new NoMounter(`path "${local.path}" does not exist`);
      return of(this.deps.host.volume, this.deps.host.open({ path: local.path }));
    }
    return of(this.remote(nfs !== undefined ? `nfs:${nfs.server}:${nfs.path}` : csi !== undefined ? `csi:${csi.driver}:${csi.volumeHandle}` : claimed.metadata.uid));
  }

  private remote(key: string): Tree {
    let tree = this.deps.remote.get(key);
    if (tree === undefined) this.deps.remote.set(key, (tree = this.newTree()));
    return tree;
  }

  /** The PersistentVolume behind a claim of the pod (desired_state_of_world_populator.go: createVolumeSpec). */
  private async claimed(pod: Pod, volume: Volume): Promise<PersistentVolume | undefined> {
    const name = claimName(pod, volume);
    if (name === undefined) return undefined;
    const { api } = this.deps;
    const namespace = pod.metadata.namespace ?? "default";
    const where = `error processing PVC ${namespace}/${name}: `;
    const pvc = await api.get<PersistentVolumeClaim>(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`).catch((error: unknown) => {
      throw error instanceof ApiError && isNotFound(error) ? new Unbound(`${where}failed to fetch PVC from API server: ${error.message}`) : error;
    });
    if (pvc.metadata.deletionTimestamp !== undefined) throw new Unbound(`${where}PVC is being deleted`);
    if (pvc.status?.phase !== "Bound" || (pvc.spec?.volumeName ?? "") === "") throw new Unbound(`${where}PVC is not bound`);
    return api.get<PersistentVolume>(`/api/v1/persistentvolumes/${pvc.spec!.volumeName!}`);
  }

  /** What of a container's configuration has to do with files. Throws ConfigError. */
  containerConfig(container: Container | EphemeralContainer, env: Readonly<Record<string, string>>, own: Readonly<Record<string, string>>): Pick<ContainerConfig, "readFile" | "mounts"> {
    const mounts: Mount[] = [];
    for (const { name, mountPath, subPath = "", subPathExpr = "", readOnly } of container.volumeMounts ?? []) {
      const mounted = this.mounted.get(name);
      if (mounted === undefined) throw new ConfigError(`cannot find volume "${name}" to mount into container "${container.name}"`);
      const expanded = subPathExpr === "" ? subPath : expand(subPathExpr, env);
      if (expanded.startsWith("/")) throw new ConfigError(`error SubPath \`${expanded}\` must not be an absolute path`);
      if (expanded.split("/").includes("..")) throw new ConfigError("unable to provision SubPath `" + expanded + "`: must not contain '..'");
      const inside = [mounted.root, expanded].filter((part) => part !== "").join("/");
      const made = isMade(mounted.volume);
      mounts.push({ mountPath, volume: mounted.tree, ...(inside === "" ? {} : { subPath: inside }), ...(readOnly === true || made ? { readOnly: true } : {}) });
    }
    const files: Record<string, Uint8Array> = {};
    for (const path of Object.keys(own)) files[path] = new TextEncoder().encode(own[path]);
    if (this.deps.newVolume === undefined) return { readFile: mountReader(mounts, files) };
    return { mounts, readFile: (path) => files[path] };
  }

  /** What each volume uses, of those that the pod has to itself. */
  uses(pod: Pod): VolumeUse[] {
    return [...this.mounted.values()].filter(({ tree }) => tree !== this.deps.host.volume).map(({ volume, tree }) => {
      const claim = claimName(pod, volume);
      return { name: volume.name, volume, usedBytes: tree.usedBytes(), inodes: tree.usedInodes(), ...(claim === undefined ? {} : { claim }) };
    });
  }

  unmount(): void {
    this.mounted.clear();
  }
}

/** The claim that a volume is: named, or made for the pod. */
export const claimName = (pod: Pod, { name, persistentVolumeClaim, ephemeral }: Volume): string | undefined =>
  persistentVolumeClaim?.claimName ?? (ephemeral === undefined ? undefined : `${pod.metadata.name}-${name}`);

/** What every pod has to reach the API server: it changes when its token does. */
const isToken = ({ projected }: Volume): boolean => (projected?.sources ?? []).some(({ serviceAccountToken }) => serviceAccountToken !== undefined);

/** A claim that cannot be used yet: nobody is told by an event. */
class Unbound extends Error {}
class NoMounter extends Error {}
