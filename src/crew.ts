/** The nodes of one thread: built from a description that can be cloned, so that main thread and workers do the same. */
import type { Image } from "./cri/program.ts";
import { inBoxImages } from "./images/index.ts";
import { KernelInstance, newKernelMemory } from "./kernel/memory.ts";
import { silent, type Logger } from "./log.ts";
import { createNodeSite, type NodeSettings, type NodeSite, type NodeSpec } from "./node-site.ts";
import type { Endpoint, Platform } from "./platform.ts";
import { hopOf } from "./time/loading.ts";
import { LocalCrew } from "./time/loop.ts";
import { serveCrew, type WorkerCrew } from "./time/workers.ts";
import type { ObserveOptions, Observations } from "./trace/observer.ts";

/** What a worker is told at its start. */
export interface CrewStart {
  readonly module: WebAssembly.Module;
  /** The memory that all threads share; absent: each has one of its own. */
  readonly memory: WebAssembly.Memory | undefined;
  readonly nodes: readonly NodeSpec[];
  readonly settings: NodeSettings;
}

/** Figures of one node. */
export interface NodeFigures {
  readonly node: string;
  readonly memory: { readonly used: number; readonly taken: number; readonly total: number };
}

/** Calls on the nodes of a crew, between windows. */
export interface CrewCalls {
  observe(options: ObserveOptions): void;
  digests(): [wire: string, sha256: string][];
  observations(): Observations[];
  figures(): NodeFigures[];
  hostCommand(request: { readonly node: string; readonly argv: readonly string[] }): Promise<string>;
}

export interface NodeCrew {
  readonly nodes: readonly NodeSite[];
  readonly calls: CrewCalls;
}

/** Builds the nodes and adds them to `crew`. `images` go before the in-box ones. */
export const addNodes = async (crew: LocalCrew, start: CrewStart, images: readonly Image[], log: Logger): Promise<NodeCrew> => {
  const complete = start.settings.streams ? await import("./complete-node.ts") : undefined;
  const memory = start.memory ?? newKernelMemory(false);
  const instance = new KernelInstance(start.module, memory);
  const all = [...images, ...(complete?.completeImages ?? inBoxImages)];
  const nodes = start.nodes.map((spec) =>
    createNodeSite(spec, start.settings, { instance, images: all, log, post: crew.post, complete }),
  );
  for (const { site } of nodes) crew.add(site);
  return {
    nodes,
    calls: {
      observe(options) {
        for (const node of nodes) node.observe(options);
      },
      digests: () => nodes.flatMap((node) => node.observer.digests()),
      observations: () => nodes.map((node) => node.observer.observations()),
      figures: () => nodes.map((node) => ({ node: node.site.name, memory: node.kernel.memory() })),
      async hostCommand({ node, argv }) {
        const found = nodes.find(({ site }) => site.name === node);
        if (found === undefined) throw new Error(`nodes "${node}" not found`);
        return found.hostCommand(argv);
      },
    },
  };
};

/** The thread of `Platform.spawnWorker`: waits for its nodes, then serves them. */
export const serveSites = (platform: Platform, endpoint: Endpoint): void => {
  serveCrew<CrewStart>(endpoint, async (start): Promise<WorkerCrew> => {
    const crew = new LocalCrew(hopOf(platform));
    const { calls } = await addNodes(crew, start, [], silent);
    return {
      settle: () => crew.settle(),
      runWindow: (endNs, messages) => crew.runWindow(endNs, messages),
      call: (method, argument) => {
        const table = calls as unknown as Readonly<Record<string, (argument: unknown) => unknown>>;
        return table[method]?.(argument);
      },
    };
  });
};
