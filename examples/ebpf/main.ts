/** The three programs in Node: ./build.sh, then node examples/ebpf/main.ts, after `npm run build` (Node 22.18 or newer). */
import { readFile } from "node:fs/promises";
import * as bpf from "kubewire/bpf";
import { run } from "./example.ts";

const object = (name: string): Promise<Uint8Array> => readFile(new URL(`build/${name}.o`, import.meta.url));

const { firewall, balancer, drops, engine } = await run(bpf, { firewall: await object("firewall"), balancer: await object("balancer"), drops: await object("drops") });
process.stdout.write(
  `firewall (${engine}): ${firewall.arrived.join(", ")}; ${firewall.dropped} dropped, ${firewall.denied} of them from a denied address\n` +
  `balancer: ${Object.entries(balancer.byBackend).map(([backend, flows]) => `${backend} ${flows} flows`).join(", ")}\n` +
  `drops: ${Object.entries(drops.byReason).map(([reason, count]) => `${reason} ${count}`).join(", ")}; the first ${JSON.stringify(drops.first)}\n`,
);
