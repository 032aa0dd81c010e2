/** How long kubelets may use what they know of Secrets and ConfigMaps, by the size of the cluster. Follows pkg/controller/ttl/ttl_controller.go. */
import { keyOf } from "../../apimachinery/meta.ts";
import { isNotFound } from "../../apimachinery/status.ts";
import { done, type Controller } from "../../client/controller.ts";
import type { ControllerContext } from "../controller-context.ts";

const ANNOTATION = "node.alpha.kubernetes.io/ttl";
/** The sizes at which a step is left downwards and upwards, and its seconds (ttlBoundaries). */
const STEPS: readonly (readonly [min: number, max: number, seconds: number])[] = [[0, 100, 0], [90, 500, 15], [450, 1000, 30], [900, 2000, 60], [1800, Infinity, 300]];

export function newTTLController({ client, informers }: ControllerContext): Controller {
  const nodes = informers.informer("nodes");
  let count = 0;
  let step = 0;
  return {
    name: "ttl-controller",
    setup(queue) {
      const resized = (): void => {
        const [min, max] = STEPS[step]!;
        const next = count > max ? step + 1 : count < min ? step - 1 : step;
        if (next === step) return;
        step = next;
        for (const node of nodes.list()) queue.add(keyOf(node));
      };
      nodes.addHandler({
        add(node) {
          count++;
          resized();
          queue.add(keyOf(node));
        },
        update: (node) => queue.add(keyOf(node)),
        delete() {
          count--;
          resized();
        },
      });
    },
    async reconcile(name, signal) {
      const node = nodes.getByKey(name);
      const wanted = String(STEPS[step]![2]);
      if (node === undefined || node.metadata.annotations?.[ANNOTATION] === wanted) return done;
      try {
        await client.nodes.patch("", name, "strategic", { metadata: { annotations: { [ANNOTATION]: wanted } } }, undefined, signal);
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      return done;
    },
  };
}
