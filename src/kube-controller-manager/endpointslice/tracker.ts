/**
 * What a controller wrote and its cache has not shown yet, by Service. Follows k8s.io/endpointslice/util/endpointslice_tracker.go: a plan made of
 * a stale cache would make slices twice.
 */
import type { KubeObject } from "../../apimachinery/meta.ts";

/** Later than any generation: the slice was deleted. */
const GONE = Infinity;

export interface SliceTracker {
  /** Whether something is awaited for the Service. */
  isStale(service: string): boolean;
  /** A write was answered with `slice`; `cached` is what the cache has of it. */
  wrote(service: string, slice: KubeObject, cached: KubeObject | undefined): void;
  deleted(service: string, slice: KubeObject): void;
  /** The cache shows the slice; true when nothing is awaited for the Service any more, but was. */
  seen(service: string, slice: KubeObject, gone?: boolean): boolean;
  forget(service: string): void;
}

export function createSliceTracker(): SliceTracker {
  const awaited = new Map<string, Map<string, number>>();
  const expect = (service: string, uid: string, generation: number): void => {
    let own = awaited.get(service);
    if (own === undefined) awaited.set(service, (own = new Map()));
    own.set(uid, generation);
  };
  return {
    isStale: (service) => awaited.has(service),
    wrote(service, { metadata: { uid, generation = 0 } }, cached) {
      if (cached?.metadata.uid !== uid || (cached.metadata.generation ?? 0) < generation) expect(service, uid, generation);
    },
    deleted: (service, { metadata }) => expect(service, metadata.uid, GONE),
    seen(service, { metadata: { uid, generation = 0 } }, gone = false) {
      const own = awaited.get(service);
      const until = own?.get(uid);
      if (own === undefined || until === undefined || (!gone && generation < until)) return false;
      own.delete(uid);
      if (own.size > 0) return false;
      awaited.delete(service);
      return true;
    },
    forget: (service) => void awaited.delete(service),
  };
}
