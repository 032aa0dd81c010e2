/** A machine for recordings of tools: named namespaces of one kernel, a clock that is turned by hand, the kinds that it has no driver for. */
import { devices } from "../kernel/devices.ts";
import { createNodeKernel } from "../kernel/kernel.ts";
import { setIpv6 } from "../kernel/ipv6.ts";
import type { KernelInstance } from "../kernel/memory.ts";
import type { Netns } from "../kernel/netns.ts";
import { runTool, type ToolHost, type ToolResult } from "../tools/index.ts";
import type { SocketInfo } from "../tools/sockets.ts";
import type { SocketProgram } from "../tools/tool.ts";
import { manualClock } from "./clock.ts";

/** Kinds of links, queueing disciplines and ipset types that the recorded machine's kernel was built without. */
const MISSING_KINDS = ["dummy", "vlan", "vrf", "ipvlan", "bond", "gre", "gretap", "ipip", "sit", "geneve", "vlan filtering of bridges"];
const MISSING_TC = ["netem", "fw", "matchall", "gact"];
const MISSING_SETS = ["hash:mac", "hash:net,net", "hash:ip,mark", "hash:net,port,net", "hash:ip,mac"];

export interface Machine {
  readonly host: ToolHost;
  readonly namespaces: ReadonlyMap<string, Netns>;
  /** Who has a socket of a namespace open, for `ss -p`. */
  readonly programs: Map<Netns, (socket: SocketInfo) => SocketProgram | undefined>;
  /** The machine as seen from the namespace, which is made if it is not there. */
  within(name: string): ToolHost;
  /** Lets time pass: until what was sent has arrived and `ms` are over. */
  run(ms?: number): void;
  /** Runs a command, then lets what it sent arrive. */
  tool(host: ToolHost, argv: readonly string[], stdin?: string): ToolResult;
  end(): void;
}

export function newMachine(instance: KernelInstance): Machine {
  const { clock, set, nextNs, fire } = manualClock();
  let kicked = false;
  const kernel = createNodeKernel(instance, { name: "recorded", seed: 1, devices, clock, onKick: () => { kicked = true; } });
  setIpv6(kernel.host, true);
  const namespaces = new Map<string, Netns>();
  let deadlineNs = Infinity;
  const run = (ms = 5): void => {
    const untilNs = clock.nowNs() + ms * 1e6;
    for (;;) {
      kicked = false;
      const status = kernel.runUntil(clock.nowNs());
      set(status.nowNs);
      ({ deadlineNs } = status);
      fire();
      const next = Math.min(deadlineNs, nextNs());
      if (!kicked && next > untilNs) break;
      if (!kicked) set(next);
    }
    set(untilNs);
  };
  const programs: Machine["programs"] = new Map();
  const host: ToolHost = {
    netns: kernel.host, namespaces, ipsetWithout: MISSING_SETS, nftWithout: ["flowtable"],
    hasKind: (kind) => !MISSING_KINDS.includes(kind), hasTc: (_what, kind) => !MISSING_TC.includes(kind),
    wait: (ms) => run(ms),
    addNetns: (name) => {
      const netns = kernel.addNetns(name);
      namespaces.set(name, netns);
      return netns;
    },
    deleteNetns: (name) => {
      namespaces.get(name)?.delete();
      namespaces.delete(name);
    },
  };
  return {
    host, namespaces, programs, run,
    within: (name) => {
      const netns = namespaces.get(name) ?? host.addNetns!(name);
      return { ...host, netns, programOf: (socket) => programs.get(netns)?.(socket) };
    },
    tool: (inside, argv, stdin) => {
      const result = runTool(inside, argv, stdin);
      run();
      return result;
    },
    end: () => kernel.destroy(),
  };
}
