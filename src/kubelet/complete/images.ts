/** Makes a container's image be there, by its pull policy and with growing pauses. Follows kubernetes pkg/kubelet/images/image_manager.go. */
import type { Container, Pod } from "../../api/types.generated.ts";
import type { ImageService } from "../../cri/types.ts";
import type { Clock } from "../../time/clock.ts";
import type { Backoff } from "../backoff.ts";
import { goDuration } from "../duration.ts";
import type { Waiting } from "./pod-status.ts";

type Record = (type: "Normal" | "Warning", reason: string, message: string) => void;

/** The images of one node. */
export class ImageManager {
  private readonly images: ImageService;
  private readonly clock: Clock;
  private readonly backoff: Backoff;
  private readonly errors = new Map<string, string>();
  /** serializeImagePulls: one after the other. */
  private pulling: Promise<unknown> = Promise.resolve();

  constructor(images: ImageService, clock: Clock, backoff: Backoff) {
    this.images = images;
    this.clock = clock;
    this.backoff = backoff;
  }

  /** Undefined: the image is there. Otherwise why the container waits. */
  async ensure(pod: Pod, { image = "", imagePullPolicy }: Pick<Container, "image" | "imagePullPolicy">, event: Record): Promise<Waiting | undefined> {
    const invalid = whyInvalid(image);
    if (invalid !== undefined) {
      const message = `Failed to apply default image tag "${image}": couldn't parse image reference "${image}": ${invalid}`;
      event("Warning", "InspectFailed", message);
      return { reason: "InvalidImageName", message };
    }
    const policy = imagePullPolicy ?? (/(^|\/)[^:@/]+(:latest)?$/.test(image) ? "Always" : "IfNotPresent");
    const present = this.images.imageStatus(image) !== undefined;
    if (present && policy !== "Always") {
      event("Normal", "Pulled", `Container image "${image}" already present on machine`);
      return undefined;
    }
    if (!present && policy === "Never") {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      event("Warning", "ErrImageNeverPull", message);
      return { reason: "ErrImageNeverPull", message };
    }
    const key = `${pod.metadata.uid}_${image}`;
    if (this.backoff.remainingSinceUpdate(key) > 0) {
      const message = `Back-off pulling image "${image}"`;
      event("Normal", "BackOff", message);
      const cause = this.errors.get(key);
      return { reason: "ImagePullBackOff", message: cause === undefined ? message : `${message}: ${cause}` };
    }
    this.errors.delete(key);
    event("Normal", "Pulling", `Pulling image "${image}"`);
    const askedMs = this.clock.nowMs();
    let startedMs = askedMs;
    const pull = this.pulling.then(() => {
      startedMs = this.clock.nowMs();
      return this.images.pullImage(image);
    });
    this.pulling = pull.catch(() => undefined);
    try {
      await pull;
    } catch (error) {
      const message = (error as Error).message;
      event("Warning", "Failed", `Failed to pull image "${image}": ${message}`);
      this.backoff.next(key, this.clock.nowMs());
      this.errors.set(key, `ErrImagePull: ${message}`);
      return { reason: "ErrImagePull", message };
    }
    const nowMs = this.clock.nowMs();
    event("Normal", "Pulled", `Successfully pulled image "${image}" in ${goDuration(Math.floor(nowMs - startedMs))} ` +
      `(${goDuration(Math.floor(nowMs - askedMs))} including waiting). Image size: ${this.images.imageStatus(image)?.sizeBytes ?? 0} bytes.`);
    return undefined;
  }

  /** When the pause before the next try ends, in ms from now. */
  pauseMs(pod: Pod, image: string): number {
    return this.backoff.remainingSinceUpdate(`${pod.metadata.uid}_${image}`);
  }

  forget({ metadata: { uid } }: Pod): void {
    this.backoff.forget(uid);
    for (const key of [...this.errors.keys()]) if (key.startsWith(uid)) this.errors.delete(key);
  }
}

/** github.com/distribution/reference: ParseNormalizedNamed; undefined: it is a name. */
function whyInvalid(image: string): string | undefined {
  if (image === "") return "invalid reference format";
  if (/^[a-f0-9]{64}$/.test(image)) return `invalid repository name (${image}), cannot specify 64-byte hexadecimal strings`;
  const slash = image.indexOf("/");
  const first = slash < 0 ? "" : image.slice(0, slash);
  const hasDomain = slash >= 0 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  const remainder = hasDomain ? image.slice(slash + 1) : image;
  const name = remainder.replace(/@.*$/, "").replace(/:[^/]*$/, "");
  if (name !== name.toLowerCase()) return `invalid reference format: repository name (${hasDomain || name.includes("/") ? name : `library/${name}`}) must be lowercase`;
  const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
  const whole = new RegExp(`^${component}(?:/${component})*(?::\\w[\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`);
  if (!whole.test(remainder)) return "invalid reference format";
  return hasDomain && !/^[a-zA-Z0-9]+(?:[.-][a-zA-Z0-9]+)*(?::\d+)?$/.test(first) ? "invalid reference format" : undefined;
}

