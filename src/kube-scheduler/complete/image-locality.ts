/** ImageLocality: nodes that have the pod's images, the large ones above all. Follows pkg/scheduler/framework/plugins/imagelocality. */
import type { SchedulerCache } from "../cache.ts";
import { MAX_SCORE } from "../framework.ts";
import type { NodeInfo, Plugin } from "../framework.ts";

const NAME = "ImageLocality";
const MB = 1024 * 1024;
const MIN_THRESHOLD = 23 * MB;
const MAX_CONTAINER_THRESHOLD = 1000 * MB;

interface State {
  readonly images: readonly string[];
  readonly nodes: number;
}

export const imageLocality = (cache: SchedulerCache): Plugin => ({
  name: NAME,
  weight: 1,
  preScore({ info: { pod }, nodes, state }) {
    const images = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ image = "" }) => normalized(image));
    // No node has any of them: all score alike.
    if (images.every((image) => cache.nodesWithImage(image) === 0)) return false;
    state.set(NAME, { images, nodes: nodes.length } satisfies State);
    return true;
  },
  score({ state }, node) {
    const { images, nodes } = state.get(NAME) as State;
    let sum = 0;
    for (const image of images) sum += Math.floor(sizeOf(node, image) * (cache.nodesWithImage(image) / nodes));
    const max = MAX_CONTAINER_THRESHOLD * images.length;
    return Math.floor((MAX_SCORE * (Math.min(Math.max(sum, MIN_THRESHOLD), max) - MIN_THRESHOLD)) / (max - MIN_THRESHOLD));
  },
});

const sizeOf = ({ node }: NodeInfo, image: string): number => node.status.images?.find(({ names = [] }) => names.includes(image))?.sizeBytes ?? 0;

/** A name without a tag means `latest`. Follows normalizedImageName. */
const normalized = (name: string): string => (name.lastIndexOf(":") <= name.lastIndexOf("/") ? `${name}:latest` : name);
