/** ImageLocality: nodes that have the pod's images, the large ones above all. Follows pkg/scheduler/framework/plugins/imagelocality. */
import { MAX_SCORE } from "../framework.ts";
import type { NodeInfo, Plugin } from "../framework.ts";

const NAME = "ImageLocality";
const MB = 1024 * 1024;
const MIN_THRESHOLD = 23 * MB;
const MAX_CONTAINER_THRESHOLD = 1000 * MB;

interface State {
  readonly images: readonly string[];
  /** Of each image: how many nodes have it. */
  readonly spread: ReadonlyMap<string, number>;
  readonly nodes: number;
}

export const imageLocality: Plugin = {
  name: NAME,
  weight: 1,
  preScore({ info: { pod }, nodes, state }) {
    const images = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ image = "" }) => normalized(image));
    const spread = new Map<string, number>();
    for (const node of nodes) {
      for (const { names = [] } of node.node.status.images ?? []) for (const image of images) if (names.includes(image)) spread.set(image, (spread.get(image) ?? 0) + 1);
    }
    // No node has any of them: all score alike.
    if (spread.size === 0) return false;
    state.set(NAME, { images, spread, nodes: nodes.length } satisfies State);
    return true;
  },
  score({ state }, node) {
    const { images, spread, nodes } = state.get(NAME) as State;
    let sum = 0;
    for (const image of images) sum += Math.floor(sizeOf(node, image) * ((spread.get(image) ?? 0) / nodes));
    const max = MAX_CONTAINER_THRESHOLD * images.length;
    return Math.floor((MAX_SCORE * (Math.min(Math.max(sum, MIN_THRESHOLD), max) - MIN_THRESHOLD)) / (max - MIN_THRESHOLD));
  },
};

const sizeOf = ({ node }: NodeInfo, image: string): number => node.status.images?.find(({ names = [] }) => names.includes(image))?.sizeBytes ?? 0;

/** A name without a tag means `latest`. Follows normalizedImageName. */
const normalized = (name: string): string => (name.lastIndexOf(":") <= name.lastIndexOf("/") ? `${name}:latest` : name);
