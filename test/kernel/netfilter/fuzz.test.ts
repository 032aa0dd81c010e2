// No bytes and no packets trap, in the build with assertions on, and nothing is left behind.
import { beforeAll, expect, test } from "vitest";
import { OP_NETFILTER } from "../../../assembly/abi/core.ts";
import { NF_REPLACE } from "../../../assembly/abi/netfilter.ts";
import { hostHandle } from "../../../src/replay/oracle-case.ts";
import { createTestNode, kernelModule } from "../harness.ts";

// Builds the kernel if it has to.
beforeAll(() => kernelModule(), 240_000);

/** A generator of numbers below a bound, from a seed. */
function random(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const RULES = [
  "-j ACCEPT", "-j DROP", "-j RETURN", "-p tcp -m tcp --dport 80 -j DROP", "-p udp -m udp --sport 1:100 -j A", "-m conntrack --ctstate INVALID -j DROP",
  "-m conntrack --ctstate NEW,ESTABLISHED --ctorigdst 10.0.0.0/8", "-p icmp -m icmp --icmp-type 8 -j ACCEPT", "-m statistic --mode random --probability 0.5 -j B",
  "-m statistic --mode nth --every 3 --packet 1", "-m recent --name r --set --rsource", "-m recent --name r --rcheck --seconds 5 --reap --rsource -j B",
  "-m limit --limit 10/sec", "-m hashlimit --hashlimit-upto 10/sec --hashlimit-mode srcip,dstport --hashlimit-name h", "-p tcp -m multiport --ports 1,80:90",
  "-m addrtype --dst-type LOCAL", "-m mark --mark 0x1", "-m connmark --mark 0x1/0x1", "-f", "-m length --length 20:100", "-m ttl --ttl-lt 5", "-g A",
  "-p tcp -m tcp --tcp-option 2", "-m pkttype --pkt-type broadcast", "-m mac --mac-source 02:00:00:00:00:01", "-p tcp -m ecn --ecn-tcp-ece",
];
const FILTER = ["-j REJECT", "-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT --reject-with icmp-host-prohibited"];
const NAT = [
  "-p tcp -j DNAT --to-destination 10.0.1.9:8080", "-p udp -j DNAT --to-destination 10.0.1.2-10.0.1.9:50-90", "-j REDIRECT", "-j NETMAP --to 10.0.1.0/24",
];
const SNAT = ["-j MASQUERADE", "-p tcp -j SNAT --to-source 10.0.1.1-10.0.1.3:1000-1010", "-j SNAT --to-source 10.0.1.1 --persistent"];
const MANGLE = [
  "-j MARK --set-xmark 0x1/0x1", "-j CONNMARK --save-mark", "-j TTL --ttl-dec 1", "-j TOS --set-tos 0x10", "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 500",
  "-j TEE --gateway 10.0.1.7", "-p tcp -j ECN --ecn-tcp-remove",
];

test("random packets through random rules never trap, and no connection outlives its time", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const below = random(seed * 7919);
    const pick = (list: readonly string[]): string => list[below(list.length)]!;
    const node = await createTestNode({ seed });
    const { host } = node.kernel;
    for (const [name, n] of [["eth0", 0], ["eth1", 1]] as const) {
      host.addLink({ kind: "nic", name, mac: `02:00:00:00:0${n}:01` });
      host.setLink(name, { up: true });
      host.addAddress(name, `10.0.${n}.1/24`);
      for (let i = 2; i < 12; i++) host.setNeigh({ dev: name, dst: `10.0.${n}.${i}`, lladdr: `02:00:00:00:0${n}:${10 + i}`, state: "PERMANENT" });
    }
    host.setSysctl("net.ipv4.ip_forward", 1);
    const table = (name: string, chains: readonly string[], more: readonly string[], late: readonly string[] = []): string => {
      let text = `*${name}\n:A - [0:0]\n:B - [0:0]\n`;
      const plain = (): string => pick(RULES.filter((rule) => !/-[jg] [AB]$/.test(rule)));
      for (const chain of chains) {
        for (let n = below(5); n > 0; n--) {
          const rule = pick(chain === "POSTROUTING" || chain === "INPUT" ? [...RULES, ...late] : [...RULES, ...more]);
          if (!(chain === "POSTROUTING" && rule.includes("-m mac"))) text += `-A ${chain} ${rule}\n`;
        }
      }
      for (const chain of ["A", "B"]) for (let n = below(3); n > 0; n--) text += `-A ${chain} ${plain().replace("-m mac --mac-source 02:00:00:00:00:01", "-f")}\n`;
      return `${text}COMMIT\n`;
    };
    host.iptables.restore(table("filter", ["FORWARD", "INPUT"], FILTER));
    host.iptables.restore(table("nat", ["PREROUTING"], NAT) .replace(/-m mac[^\n]*\n/g, "-f\n"));
    host.iptables.restore(`*nat\n${Array.from({ length: below(3) }, () => `-A POSTROUTING ${pick(SNAT)}\n`).join("")}COMMIT\n`, { noflush: true });
    host.iptables.restore(table("mangle", ["PREROUTING", "FORWARD", "POSTROUTING"], MANGLE, MANGLE));
    const addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1", "10.0.1.2", "10.0.1.9", "8.8.8.8", "255.255.255.255", "224.0.0.1"];
    for (let n = 0; n < 400; n++) {
      const frame = new Uint8Array(14 + 20 + below(80));
      frame.set([2, 0, 0, 0, n & 1, 1, 2, 0, 0, 0, 0, 1, 8, 0]);
      const ip = frame.subarray(14);
      for (let i = 20; i < ip.length; i++) ip[i] = below(256);
      ip[0] = below(20) === 0 ? 0x40 | below(16) : 0x45;
      const length = below(15) === 0 ? below(200) : ip.length;
      ip.set([length >> 8, length & 255], 2);
      ip[5] = n & 255;
      if (below(8) === 0) ip.set([below(64), below(256)], 6);
      ip[8] = below(10) === 0 ? below(3) : 64;
      ip[9] = [1, 6, 17, 17, 6, 132, 47, 253][below(8)]!;
      ip.set(pick(addresses).split(".").map(Number), 12);
      ip.set(pick(addresses).split(".").map(Number), 16);
      if (ip.length >= 34 && ip[9] === 6) {
        ip.set([0, 1 + below(4), 0, 80], 20);
        ip[32] = 0x50;
        ip[33] = [2, 16, 18, 17, 4, 20, 0][below(7)]!;
      } else if (ip.length >= 28 && ip[9] === 17) {
        ip.set([0, 1 + below(4), 0, 53, 0, ip.length - 20, 0, 0], 20);
      } else if (ip.length >= 48 && ip[9] === 1 && below(2) === 0) {
        ip[20] = 3;
        ip[28] = 0x45;
      }
      let sum = 0;
      for (let i = 0; i < 20; i += 2) sum += i === 10 ? 0 : (ip[i]! << 8) | ip[i + 1]!;
      sum = (sum & 0xffff) + (sum >>> 16);
      sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
      ip.set([sum >> 8, sum & 255], 10);
      node.inject(host.link(n & 1 ? "eth1" : "eth0")!.ifindex, frame);
      if (n % 8 === 0) await node.advance(below(400));
    }
    await node.advance(1000);
    host.conntrack();
    host.deleteConntrack(() => true);
    host.iptables.restore("*filter\nCOMMIT\n*nat\nCOMMIT\n*mangle\nCOMMIT\n");
    await node.advance(700_000);
    expect(host.conntrack(), `seed ${seed}`).toEqual([]);
    node.kernel.destroy();
  }
}, 120_000);

test("random records and blobs are answered, never trap", async () => {
  const below = random(42);
  const { kernel, instance } = await createTestNode();
  const netns = hostHandle(kernel.context);
  const good = "*filter\n:A - [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j A\n-A A -m limit --limit 1/sec -j DROP\nCOMMIT\n";
  // A blob that the kernel takes, to begin from.
  let blob = new Uint8Array(0);
  const upload = instance.upload.bind(instance);
  instance.upload = (bytes: Uint8Array): void => {
    blob = bytes.slice();
    upload(bytes);
  };
  kernel.host.iptables.restore(good);
  instance.upload = upload;
  expect(blob.length).toBeGreaterThan(100);
  let taken = 0;
  for (let round = 0; round < 4000; round++) {
    const bytes = blob.slice(0, below(4) === 0 ? below(blob.length) : blob.length);
    const view = new DataView(bytes.buffer);
    for (let n = below(5); n > 0 && bytes.length >= 4; n--) {
      const at = below(bytes.length - 3);
      if (below(2) === 0) bytes[at] = below(256);
      else view.setUint32(at & ~3, [0, 1, 4, 8, 0xffffffff, 0x7fffffff, below(1000)][below(7)]!, true);
    }
    if (bytes.length > 0) instance.upload(bytes);
    instance.view.setUint32(0, netns, true);
    instance.view.setUint32(4, below(20) === 0 ? below(7) : 3, true);
    instance.view.setUint32(8, below(2), true);
    if (kernel.context.instance.command(kernel.handle, NF_REPLACE, 12, 0) === 0) taken++;
  }
  expect(taken).toBeGreaterThan(10);
  for (let round = 0; round < 20000; round++) {
    const length = below(80);
    for (let at = 0; at < length; at++) instance.u8[at] = below(4) === 0 ? below(256) : 0;
    instance.view.setUint32(0, below(10) === 0 ? below(2 ** 31) : netns, true);
    kernel.context.instance.command(kernel.handle, OP_NETFILTER | below(16), length, 0);
  }
});
