/**
 * Takes images off the node that nothing uses: all of them when the disk is short, the longest unused ones when they fill too much of it.
 * Follows kubernetes pkg/kubelet/images/image_gc_manager.go.
 */
import type { Clock } from "../../time/clock.ts";

/** What is asked of the runtime. */
interface Images {
  listImages(): { readonly id: string; readonly names: readonly string[]; readonly sizeBytes: number }[];
  listContainers(): { readonly image: string }[];
  removeImage(name: string): void;
}

export interface ImageGCDeps {
  readonly images: Images;
  readonly clock: Clock;
  /** Bytes of the file system of images: all, and those that nothing takes. */
  readonly disk: () => { readonly capacity: number; readonly available: number };
  /** A warning about the node. */
  readonly event: (reason: string, message: string) => void;
}

/** imageGCHighThresholdPercent, imageGCLowThresholdPercent and imageMinimumGCAge. imageMaximumGCAge is 0: images may stay unused for ever. */
const HIGH_PERCENT = 85;
const LOW_PERCENT = 80;
const MINIMUM_AGE_MS = 2 * 60_000;

interface Seen {
  readonly firstMs: number;
  /** -Infinity: never. */
  usedMs: number;
}

export class ImageGC {
  private readonly deps: ImageGCDeps;
  /** By the image's name. */
  private readonly seen = new Map<string, Seen>();

  constructor(deps: ImageGCDeps) {
    this.deps = deps;
  }

  /** Looks which images there are and which are in use; returns the names of those. Follows detectImages. */
  detect(): ReadonlySet<string> {
    const now = this.deps.clock.nowMs();
    const used = new Set(this.deps.images.listContainers().map(({ image }) => image));
    const there = new Set<string>();
    for (const { names } of this.deps.images.listImages()) {
      for (const name of names) {
        there.add(name);
        let seen = this.seen.get(name);
        if (seen === undefined) this.seen.set(name, (seen = { firstMs: now, usedMs: -Infinity }));
        if (used.has(name)) seen.usedMs = now;
      }
    }
    for (const name of this.seen.keys()) if (!there.has(name)) this.seen.delete(name);
    return used;
  }

  /** Every unused image that is old enough. Whether there was one. Follows DeleteUnusedImages. */
  deleteUnused(): boolean {
    return this.free(Infinity) > 0;
  }

  /** Called from time to time: where images fill more than the high threshold, down to the low one. Follows GarbageCollect. */
  collect(): void {
    const { capacity, available } = this.deps.disk();
    const usage = 100 - Math.floor((available * 100) / capacity);
    if (capacity === 0 || usage < HIGH_PERCENT) {
      this.detect();
      return;
    }
    const wanted = (capacity * (100 - LOW_PERCENT)) / 100 - available;
    const freed = this.free(wanted);
    if (freed < wanted) {
      this.deps.event("FreeDiskSpaceFailed", `Failed to garbage collect required amount of images. Attempted to free ${Math.ceil(wanted)} bytes, but only found ${freed} bytes eligible to free.`);
    }
  }

  /** Removes unused images, the longest unused first, until so many bytes are free. Returns how many are. */
  private free(bytes: number): number {
    const used = this.detect();
    const now = this.deps.clock.nowMs();
    const unused = this.deps.images.listImages().filter(({ names }) => !names.some((name) => used.has(name)))
      .map((image) => ({ image, seen: this.seen.get(image.names[0]!)! }))
      .sort((a, b) => (a.seen.usedMs === b.seen.usedMs ? a.seen.firstMs - b.seen.firstMs : a.seen.usedMs - b.seen.usedMs));
    let freed = 0;
    for (const { image, seen } of unused) {
      // An image that has only just come may be about to be used.
      if (seen.usedMs >= now || now - seen.firstMs < MINIMUM_AGE_MS) continue;
      for (const name of image.names) {
        this.deps.images.removeImage(name);
        this.seen.delete(name);
      }
      freed += image.sizeBytes;
      if (freed >= bytes) break;
    }
    return freed;
  }
}
