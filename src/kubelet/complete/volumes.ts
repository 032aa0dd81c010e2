/** The volumes of one pod. Follows kubernetes pkg/kubelet/volumemanager and pkg/volume. */
import type { Container, EphemeralContainer, Pod } from "../../api/types.generated.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { ContainerConfig } from "../../cri/types.ts";
import { fileReader, volumeFiles, type PodSources, type VolumeFiles } from "../container-config.ts";

export interface VolumeDeps {
  readonly events: EventRecorder;
  readonly sources: (pod: Pod) => PodSources;
}

/** The pauses between tries (exponentialbackoff). */
const RETRY_MS = 500;
const RETRY_MAX_MS = 122_000;

export class PodVolumes {
  private readonly deps: VolumeDeps;
  private files: Map<string, VolumeFiles> | undefined;
  private retryMs = RETRY_MS;

  constructor(deps: VolumeDeps) {
    this.deps = deps;
  }

  /** Undefined: all are there. */
  async mount(pod: Pod): Promise<{ readonly retryMs: number } | undefined> {
    if (this.files !== undefined) return undefined;
    const out = new Map<string, VolumeFiles>();
    let failed = false;
    for (const volume of pod.spec.volumes ?? []) {
      try {
        out.set(volume.name, await volumeFiles(pod, volume, this.deps.sources(pod)));
      } catch (error) {
        failed = true;
        const message = (error as Error).message.replace(/^configmaps "/, 'configmap "').replace(/^secrets "/, 'secret "');
        this.deps.events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", "FailedMount", `MountVolume.SetUp failed for volume "${volume.name}" : ${message}`);
      }
    }
    if (failed) {
      const { retryMs } = this;
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
      return { retryMs };
    }
    this.files = out;
    return undefined;
  }

  containerConfig(container: Container | EphemeralContainer, _env: Readonly<Record<string, string>>, own: Readonly<Record<string, string>>): Pick<ContainerConfig, "readFile"> {
    return { readFile: fileReader(container as Container, this.files ?? new Map(), own) };
  }

  unmount(): void {
    this.files = undefined;
  }
}
