/** Bad input: transactions of any bytes and texts with anything in them are refused or obeyed, never a trap, and refused ones change nothing. */
import { beforeAll, expect, test } from "vitest";
import { NF_NFT_CHAIN, NF_NFT_COMMIT, NF_NFT_OBJECT, NF_NFT_SET, NF_NFT_XT_PLACE } from "../../../assembly/abi/nft.ts";
import { NET_NETNS_HOST } from "../../../assembly/abi/net.ts";
import { createNodeKernel } from "../../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../../src/kernel/memory.ts";
import { IptablesError } from "../../../src/kernel/netns.ts";
import { ebtablesOf } from "../../../src/kernel/nft/ebtables.ts";
import { iptablesNftOf } from "../../../src/kernel/nft/iptables.ts";
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
 chain two { counter; limit rate 5/second accept; numgen inc mod 2 vmap { 0 : accept, 1 : return }; }
 chain f { type filter hook input priority 0; policy accept; ct state established,related accept
  ip saddr @s counter name c
  meta l4proto . th dport vmap @m
  update @d { ip saddr . tcp dport counter } meta mark set meta mark or 0x1
  tcp dport { 1-5, 8 } reject with tcp reset
 }
 chain n { type nat hook prerouting priority dstnat; tcp dport 80 dnat to ip saddr map { 1.1.1.1 : 2.2.2.2 } ; }
 flowtable ft { hook ingress priority 0; devices = { eth0 }; counter; }
 chain fw { type filter hook forward priority 0; flow add @ft counter; }
 map om { type inet_service : counter; elements = { 53 : "c" } }
 chain g { type filter hook output priority 0; meter m size 10 { ip daddr limit rate 1/second } ct count over 5; counter name udp dport map @om
  add @d { ip saddr . udp dport ct count 3 } ct zone set 3; dup to 10.0.0.2; }
}
table bridge b {
 chain c { type filter hook output priority 0; ether type arp counter; ip saddr 10.0.0.1 counter; }
}
table netdev n {
 chain c { type filter hook egress device "eth0" priority 0; dup to "lo"; fwd to "eth0"; }
}
table arp a {
 chain c { type filter hook output priority 0; arp operation request counter; }
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

test("rules of xtables in transactions of changed bytes are answered, never trap", async () => {
  const node = await kernel();
  const { instance } = node.context;
  let records = new Uint8Array(0);
  const upload = instance.upload.bind(instance);
  instance.upload = (bytes) => {
    records = new Uint8Array(bytes);
    upload(bytes);
  };
  iptablesNftOf(node.host).restore(`*filter
:X - [0:0]
-A OUTPUT -p udp -m multiport --dports 1,2,1000:1010 -m hashlimit --hashlimit-upto 10/sec --hashlimit-mode srcip --hashlimit-name foo -j X
-A OUTPUT -m statistic --mode nth --every 3 --packet 2 -m recent --set --name r -m limit --limit 5/min -j MARK --set-mark 5
-A OUTPUT -m connlimit --connlimit-above 3 -m string --algo bm --string GET -j REJECT
-A X -m conntrack --ctstate NEW -m u32 --u32 "0>>22&0x3C@0>>24=0x1" -j LOG
COMMIT
`);
  ebtablesOf(node.host).restore("*nat\n-A PREROUTING -p ARP -j arpreply --arpreply-mac 02:00:00:00:00:09\n-A PREROUTING -j dnat --to-dst 02:00:00:00:00:06\n");
  const netns = node.context.command(NET_NETNS_HOST, 0, "netns") >>> 0;
  iptablesNftOf(node.host).run(["-A", "OUTPUT", "-m", "ttl", "--ttl-lt", "5", "-j", "ACCEPT"]);
  expect(records.length).toBeGreaterThan(500);
  const random = generator(17);
  const socket = node.host.sockets.udp({ local: { port: 1000, address: "10.0.0.1" } });
  let accepted = 0;
  for (let round = 0; round < 600; round++) {
    const bytes = records.slice();
    for (let i = random(4); i > 0; i--) bytes[random(bytes.length)] = random(3) === 0 ? random(256) : random(70);
    upload(bytes);
    instance.view.setUint32(0, netns, true);
    if (node.context.command(NF_NFT_COMMIT, 8, "nft", true) === 0) accepted++;
    upload(bytes.slice(random(bytes.length) & ~3));
    [netns, random(6), random(32)].forEach((word, i) => instance.view.setUint32(4 * i, word, true));
    node.context.command(NF_NFT_XT_PLACE, 12, "nft", true);
    try {
      socket.send(new Uint8Array(4), { address: "10.0.0.1", port: 1000 });
    } catch {
      // A rule set out of chance may forbid it.
    }
    node.runUntil(node.context.clock.nowNs());
  }
  expect(accepted).toBeGreaterThan(50);
  node.destroy();
}, 60_000);

test("words of iptables-nft and ebtables taken out, doubled and swapped are refused as the tools refuse, and then nothing has changed", async () => {
  const node = await kernel();
  const iptables = iptablesNftOf(node.host);
  const ebtables = ebtablesOf(node.host);
  const random = generator(23);
  const inputs = [
    "*filter\n:A - [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 -s 10.0.0.0/8 ! -i eth0 -j A\n-A A -m limit --limit 5/min -j LOG --log-prefix x\n-X B\nCOMMIT\n",
    "*filter\n:A ACCEPT\n-A FORWARD -p IPv4 --ip-proto tcp --ip-dport 80 -s ! 02:00:00:00:00:01 -i eth0 -j A\n-A A --limit 5/min -j mark --mark-set 5\n",
  ];
  for (let round = 0; round < 800; round++) {
    const which = round % 2;
    const some = inputs[which]!.split(/(\s+)/);
    for (let i = 1 + random(3); i > 0; i--) {
      const at = random(some.length);
      if (random(3) === 0) some.splice(at, 1);
      else if (random(2) === 0) some.splice(at, 0, some[random(some.length)]!);
      else some[at] = some[random(some.length)]!;
    }
    const save = (): string => iptables.save().stdout + ebtables.save();
    const before = save();
    try {
      if (which === 0) iptables.restore(some.join(""), { noflush: random(2) === 0 });
      else ebtables.restore(some.join(""), { noflush: random(2) === 0 });
    } catch (error) {
      if (!(error instanceof IptablesError)) throw new Error(`${JSON.stringify(some.join(""))}: ${String(error)}`, { cause: error });
      // Tables that were committed before the mistake stay.
      if ((some.join("").match(/COMMIT/g) ?? []).length <= 1) expect(save()).toBe(before);
    }
  }
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
