/** IPv6 from hostile hands: short recorded frames cut at every byte, and with every byte changed, ends as a packet or a drop, and nothing is left. */
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { setIpv6 } from "../../../src/kernel/ipv6.ts";
import type { NetnsSockets } from "../../../src/kernel/socket-calls.ts";
import { createTestNode } from "../harness.ts";
import type { Case6 } from "../oracle6/replay6.ts";

const folder = new URL("../recorded/ip6/", import.meta.url);

test("cut and changed frames", async () => {
  const node = await createTestNode();
  const { host } = node.kernel;
  setIpv6(host, true);
  host.setSysctl("net.ipv6.conf.all.forwarding", 1);
  for (const [name, mac] of [["eth0", "02:00:00:00:0a:01"], ["eth1", "02:00:00:00:0b:01"]] as const) {
    host.addLink({ kind: "nic", name, mac });
    host.setLink(name, { up: true });
  }
  host.addAddress("eth0", "2001:db8:a::1/64", { nodad: true });
  host.addAddress("eth1", "2001:db8:b::1/64", { nodad: true });
  const socket = host.sockets.udp({ local: { address: "::", port: 2000 } });
  await node.advance(3000);
  const ifindex = host.link("eth0")!.ifindex;
  const seen = new Set<string>();
  let injected = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json")).sort()) {
    const { case: given } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { case: Case6 };
    for (const { in: on, frame = "" } of given.packets) {
      if (on !== "eth0" || frame.length > 500 || seen.has(frame)) continue;
      seen.add(frame);
      const bytes = Uint8Array.from(Buffer.from(frame, "hex"));
      for (let cut = 0; cut < bytes.length; cut++) {
        const short = bytes.slice(0, cut);
        // Its payload length may tell the truth, too.
        node.inject(ifindex, short);
        if (cut > 54) {
          const told = short.slice();
          told[18] = (cut - 54) >> 8;
          told[19] = (cut - 54) & 255;
          node.inject(ifindex, told);
        }
        const changed = bytes.slice();
        changed[cut]! ^= 1 << (cut & 7);
        node.inject(ifindex, changed);
        changed[cut] = 0xff;
        node.inject(ifindex, changed);
        injected += 4;
        if (injected % 256 === 0) node.run();
      }
      node.run();
      node.takeFrames();
    }
  }
  expect(injected).toBeGreaterThan(20_000);
  socket.close();
  // Fragments, neighbours that do not answer, and what waits for them.
  await node.advance(120_000);
  node.takeFrames();
  expect((host.sockets as NetnsSockets).stats().skbs).toBe(0);
});
