/** Image names, and the registry they are pulled from: an explicit list. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Image } from "../cri/program.ts";

export type Resolved =
  | { readonly name: string; readonly image: Image }
  | { readonly error: string; readonly code: "NotFound" | "InvalidArgument" | "Unknown" };

/** Where a node pulls from. */
export interface ImageRegistry {
  /** The full name (`docker.io/library/nginx:latest`); undefined for what is no image name. */
  normalize(name: string): string | undefined;
  resolve(name: string): Resolved;
  id(image: Image): string;
  sizeBytes(image: Image): number;
}

interface Reference {
  readonly repository: string;
  readonly tag: string;
  /** The whole name as runtimes print it. */
  readonly full: string;
}

/** github.com/distribution/reference: ParseDockerRef. */
export function parseReference(name: string): Reference | undefined {
  const match = /^((?:(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*(?::[0-9]+)?)\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(name);
  if (match === null) return undefined;
  const parts = match[1]!.split("/");
  const first = parts[0]!;
  const hasDomain = parts.length > 1 && (/[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  const domain = hasDomain ? (first === "index.docker.io" ? "docker.io" : first) : "docker.io";
  const path = hasDomain ? parts.slice(1).join("/") : match[1]!;
  const repository = `${domain}/${domain === "docker.io" && !path.includes("/") ? `library/${path}` : path}`;
  const tag = match[2] ?? (match[3] === undefined ? "latest" : "");
  return { repository, tag, full: `${repository}${match[3] === undefined ? `:${tag}` : `@${match[3]}`}` };
}

/** Tags under which the in-box images are published: versions and the usual variants. */
const PUBLISHED_TAG = /^(?:latest|stable|mainline|v?[0-9][0-9.]*)?(?:-?(?:alpine|slim|bookworm|glibc|musl|uclibc)[0-9.]*)?$/;

/** A registry of these images. An image listed with a tag is there under the usual tags of its repository too. `any` stands for those that are not there. */
export function imageRegistry(images: readonly Image[], any?: (name: string) => Image): ImageRegistry {
  const byName = new Map<string, Image>();
  const byRepository = new Map<string, Image>();
  for (const image of images) {
    const reference = parseReference(image.name);
    if (reference === undefined) throw new Error(`invalid image name "${image.name}"`);
    byName.set(reference.full, image);
    if (!byRepository.has(reference.repository)) byRepository.set(reference.repository, image);
  }
  const ids = new WeakMap<Image, string>();
  return {
    normalize: (name) => parseReference(name)?.full,
    resolve(name) {
      const reference = parseReference(name);
      if (reference === undefined) return { code: "InvalidArgument", error: `failed to parse image name "${name}": invalid reference format` };
      const { full, repository, tag } = reference;
      const sibling = byRepository.get(repository);
      const image = byName.get(full) ?? (PUBLISHED_TAG.test(tag) ? sibling : undefined);
      if (image !== undefined) return { name: full, image };
      if (any !== undefined) {
        const made = any(full);
        byName.set(full, made);
        return { name: full, image: made };
      }
      const head = `failed to pull and unpack image "${full}": failed to resolve reference "${full}": `;
      return sibling === undefined && repository.startsWith("docker.io/")
        ? { code: "Unknown", error: `${head}pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed` }
        : { code: "NotFound", error: `${head}${full}: not found` };
    },
    id(image) {
      let id = ids.get(image);
      if (id === undefined) {
        let digest = "";
        for (const byte of sha256(new TextEncoder().encode(image.name))) digest += byte.toString(16).padStart(2, "0");
        ids.set(image, (id = `sha256:${digest}`));
      }
      return id;
    },
    // A program has no layers; the size is that of the smallest image there is, pause, where an image does not say its own.
    sizeBytes: ({ sizeBytes = 320_368 }) => sizeBytes,
  };
}
