/** What parses is fed with words in any order: every answer is a tool's, nothing is thrown, and the kernel goes on. */
import { beforeAll, describe, expect, it } from "vitest";
import { createNodeKernel } from "../../src/kernel/kernel.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import type { Netns } from "../../src/kernel/netns.ts";
import { parseCase, ReplayError } from "../../src/replay/check-case.ts";
import { manualClock } from "../../src/replay/clock.ts";
import { readListing } from "../../src/replay/ip-listing.ts";
import type { Random } from "../../src/time/clock.ts";
import { newRandom } from "../../src/time/random.ts";
import { runTool } from "../../src/tools/index.ts";
import { kernelModule } from "../kernel/harness.ts";

const TOOLS = ["ip", "bridge", "ss", "conntrack", "tc", "ifconfig", "netstat", "sysctl", "cat", "iptables-save", "ping", "nft", "ipset"];
const WORDS = (
  "add del set show flush get replace change append list save help link addr address route rule neigh netns maddr netconf fdb vlan mdb qdisc class " +
  "dev eth0 eth1 br0 lo nosuch x0 vx1 type veth bridge vxlan peer name id 5 local 10.1.1.1 10.1.1.2/24 10.5.0.0/16 default via src onlink table main " +
  "local all 100 metric 7 mtu 1400 master nomaster up down address 02:00:00:00:00:01 netns ns1 from to fwmark 0x1/0xff lookup priority 1000 iif " +
  "lladdr nud permanent stale proxy dst self static hairpin on off learning isolated vid -j -d -s -o -br -4 -6 -n -N -p -json -details -L -D -G -I -U " +
  "-C -S -F -E conntrack expect -p tcp udp icmp --sport --dport 80 --state ESTABLISHED -o extended,id xml -t -a -l -u -w state established sport = :80 " +
  "and or not ( ) src net.ipv4.ip_forward=1 net.ipv4.conf.eth0.rp_filter /proc/net/route /proc/net/dev /proc/net/tcp -r -i scope host link global " +
  "handle 1: parent 1:10 ingress htb tbf netem pfifo_fast rate 1mbit ceil 2mbit burst 16k limit 10 latency 50ms delay 10ms loss 5% prio 2 protocol u32 " +
  "matchall fw classid 1:1 flowid 1:1 action mirred egress redirect ip 0xffff u8 at 12 tuntap mode tap tun property altname alias grp1 group 5 nexthop " +
  "prepend append advmss 1300 not suppress_prefixlength goto 1100 valid_lft 60 preferred_lft 30 peer 10.9.9.9 batch -batch -c 1 -W -t 100 -g 10.2.2.2 " +
  "table inet filter chain input { type filter hook input priority 0; } rule accept list ruleset create hash:ip test destroy members timeout 10 " +
  "-m 5 -b --orig-src --reply-src any xml labels ktimestamp fd00::/8 /proc/net/fib_trie /proc/net/if_inet6 /proc/net/ipv6_route /proc/net/arp " +
  "label eth0:1 brd + - blackhole unreachable prohibit proto static kernel root match exact nexthop weight fd00::1/64 ::1 \u0000 '' 99999999999 -1 0x"
).split(" ");

const pick = (random: Random, words: readonly string[]): string => words[random.below(words.length)]!;

let instance: KernelInstance;
beforeAll(async () => {
  instance = new KernelInstance(await kernelModule(), newKernelMemory(true));
});

describe("tools", () => {
  it("answer 6,000 lines of words in any order with an exit status and text", () => {
    const kernel = createNodeKernel(instance, { name: "fuzz", seed: 1, clock: manualClock().clock });
    const namespaces = new Map<string, Netns>([["ns1", kernel.addNetns("ns1")]]);
    const host = {
      netns: kernel.host, namespaces,
      addNetns: (name: string): Netns => {
        const netns = kernel.addNetns(name);
        namespaces.set(name, netns);
        return netns;
      },
      deleteNetns: (name: string): void => {
        namespaces.get(name)?.delete();
        namespaces.delete(name);
      },
    };
    for (const line of ["ip link add eth0 type veth peer name eth1", "ip link add br0 type bridge", "ip link set eth0 up", "ip link set eth1 up"]) {
      expect(runTool(host, line.split(" ")).exitCode).toBe(0);
    }
    const random = newRandom(7);
    let succeeded = 0;
    for (let i = 0; i < 6000; i++) {
      const argv = [pick(random, TOOLS), ...Array.from({ length: random.below(10) }, () => pick(random, WORDS))];
      const { exitCode, stdout, stderr } = runTool(host, argv);
      expect(Number.isInteger(exitCode) && exitCode >= 0 && exitCode <= 255, argv.join(" ")).toBe(true);
      expect(typeof stdout === "string" && typeof stderr === "string").toBe(true);
      if (exitCode === 0) succeeded++;
    }
    // Words in any order are not all refused, or this would test nothing but usage texts.
    expect(succeeded).toBeGreaterThan(600);
    kernel.runUntil(1e9);
    kernel.destroy();
  });
});

describe("files for replay", () => {
  const CASE = '{"name": "x", "interfaces": {"eth0": {"mac": "02:00:00:00:00:01", "addr": ["10.0.0.1/24"]}}, "routes": [{"dst": "default", "via": "10.0.0.2"}],' +
    ' "packets": [{"in": "eth0", "at_ms": 1.5e1, "frame": "00ff"}], "ct_trace": true, "sysctl": {"a": -1, "b": "\\u0041\\n"}}';
  it("cut or changed anywhere, a case is refused with a place, or is a case", () => {
    const random = newRandom(9);
    const run = (text: string): void => {
      try {
        parseCase(text);
      } catch (error) {
        expect(error, text).toBeInstanceOf(ReplayError);
        expect((error as ReplayError).place).toMatch(/^(?:line \d+, column \d+|case|[a-z_]+[\w.[\]]*)$/);
      }
    };
    for (let at = 0; at < CASE.length; at++) run(CASE.slice(0, at));
    for (let i = 0; i < 2000; i++) {
      const at = random.below(CASE.length);
      run(CASE.slice(0, at) + String.fromCharCode(32 + random.below(95)) + CASE.slice(at + random.below(3)));
    }
  });
  it("says at which line and column JSON ends to be JSON", () => {
    const place = (text: string): string => {
      try {
        parseCase(text);
        return "none";
      } catch (error) {
        return (error as ReplayError).place;
      }
    };
    expect(place('{"a" 1}')).toBe("line 1, column 6");
    expect(place('{\n "a": tru\n}')).toBe("line 2, column 7");
    expect(place('{"a": 1}}')).toBe("line 1, column 9");
    expect(place('["a", ]')).toBe("line 1, column 7");
    expect(place('{"a": "x')).toBe("line 1, column 7");
  });
  it("a listing of ip with any lines is read, or refused with its line", () => {
    const random = newRandom(11);
    for (let i = 0; i < 3000; i++) {
      const text = Array.from({ length: 1 + random.below(3) }, () => Array.from({ length: random.below(7) }, () => pick(random, WORDS)).join(" ")).join("\n");
      try {
        readListing(text);
      } catch (error) {
        expect(error, text).toBeInstanceOf(ReplayError);
        expect((error as ReplayError).place).toMatch(/^--routes line \d+$/);
      }
    }
  });
});
