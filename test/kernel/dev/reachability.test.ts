/** Who reaches whom, as recorded from Linux: macvlan modes, bridge flags, hairpin, bridge-nf, masquerade. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { useFullIptables } from "../../../src/kernel/iptables/full.ts";
import type { Netns } from "../../../src/kernel/netns.ts";
import { createTestNode, shared } from "../harness.ts";
import { runSetup, type SetupCommand } from "./setup-commands.ts";

interface Record_ {
  readonly scenario: string;
  readonly namespaces: readonly string[];
  readonly setup: readonly SetupCommand[];
  readonly addresses: Readonly<Record<string, string>>;
  readonly reachable: Readonly<Record<string, boolean>>;
}
const { records } = JSON.parse(readFileSync(new URL("recordings/network/reachability.json", shared), "utf8")) as {
  records: Record_[];
};

/**
 * Commands that the recording kernel refused for reasons that are not this kernel's: it was built without VLAN filtering, and its hosts had
 * sent IPv6 router solicitations, by which the bridge knew their MACs. They are left out; other refused ones have to be refused here, too.
 */
const NOT_HERE = [/vlan_filtering/, /^bridge vlan add/, /^bridge fdb add .* master static$/, /neigh_suppress/];

useFullIptables();

describe("reachability", () => {
  for (const record of records) {
    test(record.scenario, async () => {
      const node = await createTestNode();
      const spaces = new Map<string, Netns>();
      for (const name of record.namespaces) {
        const ns = node.kernel.addNetns(name);
        ns.setLink("lo", { up: true });
        spaces.set(name, ns);
      }
      const byName = (name: string): Netns => spaces.get(name)!;
      for (const { ns, cmd, exit } of record.setup) {
        if (exit !== 0 && NOT_HERE.some((pattern) => pattern.test(cmd))) continue;
        let failed = false;
        try {
          runSetup(byName(ns), byName, cmd);
        } catch (error) {
          if ((error as { code?: string }).code === undefined) throw error;
          failed = true;
        }
        expect({ cmd, failed }).toEqual({ cmd, failed: exit !== 0 });
        node.run();
      }
      // All at once: who is asked learns who asks, which is how some reach a port that no broadcast gets to.
      const pings = Object.keys(record.reachable).map(async (key) => {
        const [from = "", to = ""] = key.split(" -> ");
        return [key, await byName(from).sockets.ping(record.addresses[to] ?? to, { timeoutMs: 1000 }).then(() => true, () => false)];
      });
      await node.advance(1000);
      const found = Object.fromEntries(await Promise.all(pings)) as Record<string, boolean>;
      expect(found).toEqual(record.reachable);
    });
  }
});
