/** Bad input: transactions of any bytes and texts with anything in them are refused or obeyed, never a trap, and refused ones change nothing. */
import { beforeAll, expect, test } from "vitest";
import { NF_NFT_CHAIN, NF_NFT_COMMIT, NF_NFT_OBJECT, NF_NFT_SET } from "../../../assembly/abi/nft.ts";
import { NET_NETNS_HOST } from "../../../assembly/abi/net.ts";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { NftError, nftOf } from "../../../src/kernel/nft/index.ts";
import { manualClock } from "../../../src/replay/clock.ts";
import { kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

/** mulberry32 */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const TEXT = `table ip t {
 set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.1.1-192.168.1.9 } }
 set d { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 1m; }
 map m { type inet_proto . inet_service : verdict; elements = { tcp . 80 : goto two, udp . 53 : drop } }
 counter c { packets 1 bytes 2 }
 chain two { counter; limit rate 5/second accept; numgen inc mod 2 vmap { 0 : accept, 1 : return } }
 chain f { type filter hook input priority 0; policy accept; ct state established,related accept
  ip saddr @s counter name c
  meta l4proto . th dport vmap @m
  update @d { ip saddr . tcp dport counter } meta mark set meta mark or 0x1
  tcp dport { 1-5, 8 } reject with tcp reset
 }
 chain n { type nat hook prerouting priority dstnat; tcp dport 80 dnat to ip saddr map { 1.1.1.1 : 2.2.2.2 } ; }
}
`;

async function kernel() {
  const instance = new KernelInstance(await kernelModule("debug"), newKernelMemory(true));
  const made = createNodeKernel(instance, { name: "fuzz", seed: 1, clock: manualClock().clock });
  made.host.addLink({ kind: "nic", name: "eth0" });
  made.host.addAddress("eth0", "10.0.0.1/24");
  made.host.setLink("eth0", { up: true });
  made.host.setLink("lo", { up: true });
  return made;
}

test("transactions of changed bytes are answered, never trap", async () => {
  const node = await kernel();
  const { context } = node;
  const { instance } = context;
  // The records that the driver makes of the text are the seed.
  let records = new Uint8Array(0);
  const upload = instance.upload.bind(instance);
  instance.upload = (bytes) => {
    records = new Uint8Array(bytes);
    upload(bytes);
  };
  nftOf(node.host).run(TEXT);
  expect(records.length).toBeGreaterThan(500);
  const netns = context.command(NET_NETNS_HOST, 0, "netns") >>> 0;
  const random = generator(7);
  const socket = node.host.sockets.udp({ local: { port: 1000, address: "10.0.0.1" } });
  let accepted = 0;
  for (let round = 0; round < 1000; round++) {
    const bytes = records.slice(0, random(8) === 0 ? random(records.length) : records.length);
    for (let i = random(4); i > 0 && bytes.length > 0; i--) bytes[random(bytes.length)] = random(3) === 0 ? random(256) : random(40);
    upload(bytes);
    instance.view.setUint32(0, netns, true);
    if (context.command(NF_NFT_COMMIT, 8, "nft", true) === 0) accepted++;
    for (const op of [NF_NFT_CHAIN, NF_NFT_SET, NF_NFT_OBJECT]) {
      [netns, random(6), random(4), random(2)].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
      context.command(op, 16, "nft", true);
    }
    try {
      socket.send(new Uint8Array(4), { address: "10.0.0.1", port: random(2) === 0 ? 53 : 1000 });
    } catch {
      // A rule set out of chance may forbid it.
    }
    node.runUntil(context.clock.nowNs());
  }
  expect(accepted).toBeGreaterThan(100);
  node.destroy();
}, 60_000);

test("texts with pieces taken out, doubled and swapped are refused with a place, and then nothing has changed", async () => {
  const node = await kernel();
  const nft = nftOf(node.host);
  const keep = "add table ip keep\nadd chain ip keep c\nadd rule ip keep c counter packets 7 bytes 8 accept\n";
  nft.run(keep);
  const words = TEXT.split(/(\s+)/);
  const random = generator(11);
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const some = [...words];
    for (let i = 1 + random(3); i > 0; i--) {
      const at = random(some.length);
      if (random(3) === 0) some.splice(at, 1);
      else if (random(2) === 0) some.splice(at, 0, words[random(words.length)]!);
      else some[at] = words[random(words.length)]!;
    }
    const before = nft.list();
    try {
      nft.run(some.join(""));
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      expect(error.message).toMatch(/^Error: .+\n.*\n[ \t~^]*\^/);
      refused++;
      expect(nft.list()).toBe(before);
    }
    nft.run(`flush ruleset\n${keep}`);
  }
  expect(refused).toBeGreaterThan(300);
  expect(nft.list()).toContain("counter packets 7 bytes 8 accept");
  node.destroy();
}, 60_000);
