/** `kubewire replay` as typed: dist/cli.js on cases of the oracle, on a node's dump with a capture, and on bad input. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCapture } from "../../src/pcap/read.ts";
import { encodePcapng } from "../../src/pcap/pcapng.ts";
import { hexBytes } from "../../src/replay/packet.ts";
import { compareResults, type OracleCase, type OracleResult } from "../../src/replay/oracle-case.ts";
import { shared } from "../kernel/harness.ts";

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const recorded = (name: string): string => fileURLToPath(new URL(`recorded/${name}`, import.meta.url));
const oracle = (path: string): string => fileURLToPath(new URL(`oracle/${path}`, shared));

interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}
const kubewire = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ exit: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubewire-replay-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

describe("kubewire replay CASE.json", () => {
  it.each(["snat_basic", "reject_nat_icmp", "vxlan_flood", "frag_conntrack"])("--json gives the kernel's result of %s", async (name) => {
    const { exit, stdout, stderr } = await kubewire("replay", oracle(`cases/${name}.json`), "--json");
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const want = JSON.parse(readFileSync(oracle(`results/${name}.json`), "utf8")) as OracleResult;
    expect(compareResults(want, JSON.parse(stdout) as OracleResult)).toBeUndefined();
  });

  it("tells the journey: rules in words, translations, routes, connections", async () => {
    const { stdout } = await kubewire("replay", oracle("cases/snat_basic.json"));
    expect(stdout).toContain("UDP 10.0.1.10:1000 > 10.0.2.20:53 5 bytes: sent on, as UDP 10.0.2.1:1000 > 10.0.2.20:53 5 bytes\n");
    expect(stdout).toContain("POSTROUTING nat POSTROUTING rule 1: -A POSTROUTING -o eth1 -j SNAT --to-source 10.0.2.1\n");
    expect(stdout).toContain("SNAT 10.0.1.10:1000 to 10.0.2.1:1000\n");
    expect(stdout).toContain("route: 10.0.2.20 dev eth1\n");
    expect(stdout).toContain("conntrack: NEW, connection 1 UDP\n");
    expect(stdout).toMatch(/^connections\n {2}\S/m);
  });

  it("names what drops a packet as skb_drop_reason does", async () => {
    const { stdout } = await kubewire("replay", oracle("cases/match_addrtype.json"));
    expect(stdout).toContain("dropped: NO_SOCKET\n");
  });

  it("writes frames with what happened to them as pcapng", async () => {
    const out = join(folder, "case.pcapng");
    expect((await kubewire("replay", oracle("cases/snat_basic.json"), "--out", out)).exit).toBe(0);
    const { packets, interfaces } = readCapture(readFileSync(out));
    expect(interfaces.map(({ name }) => name)).toContain("router/eth1");
    const [first] = packets.filter(({ direction }) => direction === "out");
    expect(first?.comment).toContain("SNAT 10.0.1.10:1000 to 10.0.2.1:1000");
  });

  it("says where bad input is bad", async () => {
    const bad = async (content: unknown): Promise<string> => {
      const { exit, stderr } = await kubewire("replay", file("bad.json", typeof content === "string" ? content : JSON.stringify(content)));
      expect(exit).toBe(1);
      return stderr.replace(folder, "");
    };
    const good = { name: "x", interfaces: { eth0: { mac: "02:00:00:00:00:01", addr: ["10.0.0.1/24"] } }, packets: [] as unknown[] };
    expect(await bad("")).toBe("error: /bad.json: line 1, column 1: not JSON\n");
    expect(await bad('{\n  "name": "x",\n  "packets": [1,]\n}')).toBe("error: /bad.json: line 3, column 17: not JSON\n");
    expect(await bad([])).toBe("error: /bad.json: case: an object is expected\n");
    expect(await bad({ ...good, packets: [{ in: "eth0", frame: "0g" }] })).toBe(
      'error: /bad.json: packets[0].frame: an even number of hexadecimal digits is expected rather than "0g"\n');
    expect(await bad({ ...good, packets: [{ in: "eth7", frame: "00" }] })).toBe('error: /bad.json: packets[0].in: there is no interface "eth7"\n');
    expect(await bad({ ...good, routes: [{ dst: "10.9.0.0/16", via: "192.0.2.1" }] })).toBe("error: /bad.json: routes[0]: Error: Nexthop has invalid gateway.\n");
    expect(await bad({ ...good, iptables: "*filter\n-A FORWARD -j NOWHERE\nCOMMIT\n" })).toMatch(/^error: \/bad.json: iptables: .*NOWHERE.*\n?Error occurred at line: 2\n/s);
    expect(await bad({ ...good, sysctl: { "net.ipv4.nothing": 1 } })).toContain("sysctl.net.ipv4.nothing: ");
    expect((await kubewire("replay", join(folder, "none.json"))).stderr).toMatch(/none\.json: no such file\n$/);
    expect((await kubewire("replay")).stderr).toContain("missing required argument");
  });
});

describe("kubewire replay --format", () => {
  it("trace words rules as the kernel's log does", async () => {
    const { stdout } = await kubewire("replay", oracle("cases/snat_basic.json"), "--format", "trace");
    expect(stdout.split("\n").slice(2, 4)).toEqual([
      "TRACE: nat:PREROUTING:policy:1 IN=eth0 OUT= MAC=02:00:00:00:01:01:02:00:00:00:01:0a:08:00 SRC=10.0.1.10 DST=10.0.2.20 LEN=40 TOS=0x00 " +
        "PREC=0x00 TTL=63 ID=4099 DF PROTO=TCP SPT=1000 DPT=80 SEQ=1000 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 ",
      "TRACE: nat:POSTROUTING:rule:1 IN=eth0 OUT=eth1 MAC=02:00:00:00:01:01:02:00:00:00:01:0a:08:00 SRC=10.0.1.10 DST=10.0.2.20 LEN=40 TOS=0x00 " +
        "PREC=0x00 TTL=62 ID=4099 DF PROTO=TCP SPT=1000 DPT=80 SEQ=1000 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 ",
    ]);
  });
  it("trace says what the kernel's log said (recorded/README.md)", async () => {
    const { stdout } = await kubewire("replay", recorded("trace-case.json"), "--format", "trace");
    const want = readFileSync(recorded("trace.txt"), "utf8").split("\n");
    const inward = stdout.split("\n").filter((line) => !line.includes(":OUTPUT:"));
    // Packets that were answered are told as well; the recording is of what came in.
    expect(inward.filter((line) => line.includes(" IN=a0 "))).toEqual(want.filter((line) => line !== ""));
  });
  it("nft says what nft monitor trace said, but for the words of rules (recorded/README.md)", async () => {
    const { stdout } = await kubewire("replay", recorded("nft-trace-case.json"), "--format", "nft");
    const words = (line: string): string => line.replace(/^trace id \w+ /, "").replace(/ rule .* \(verdict/, " rule (verdict");
    const want = readFileSync(recorded("nft-trace.txt"), "utf8").split("\n").filter((line) => line !== "").map(words);
    expect(stdout.split("\n").map(words).filter((line) => line.startsWith("ip filter INPUT"))).toEqual(want);
  });
  it("nft words them as nft monitor trace does", async () => {
    const { stdout } = await kubewire("replay", oracle("cases/snat_basic.json"), "--format", "nft");
    expect(stdout.split("\n")[0]).toBe('trace id 00000001 ip nat PREROUTING packet: iif "eth0" ether saddr 02:00:00:00:01:0a ether daddr ' +
      "02:00:00:00:01:01 ip saddr 10.0.1.10 ip daddr 10.0.2.20 ip dscp cs0 ip ecn not-ect ip ttl 63 ip id 4097 ip length 33 udp sport 1000 udp " +
      "dport 53 udp length 13 @th,64,40 0x68656c6c6f ");
  });
});

describe("kubewire replay --iptables --pcap", () => {
  const packets = (name: string): Uint8Array => {
    const { packets: all } = JSON.parse(readFileSync(oracle(`cases/${name}.json`), "utf8")) as OracleCase;
    return encodePcapng({
      interfaces: [{ name: "eth0" }, { name: "eth1" }],
      packets: all.map(({ in: dev, frame }, i) => ({ interface: dev === "eth0" ? 0 : 1, timeNs: 1_700_000_000_000_000_000n + BigInt(i) * 10_000_000n, data: hexBytes(frame) })),
    });
  };
  const listing = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n" +
    "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\n    link/ether 02:00:00:00:01:01 brd ff:ff:ff:ff:ff:ff\n    inet 10.0.1.1/24 scope global eth0\n" +
    "3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\n    link/ether 02:00:00:00:02:01 brd ff:ff:ff:ff:ff:ff\n    inet 10.0.2.1/24 scope global eth1\n" +
    "10.0.1.0/24 dev eth0 proto kernel scope link src 10.0.1.1 \n10.0.2.0/24 dev eth1 proto kernel scope link src 10.0.2.1 \n";
  const json = JSON.stringify([
    { ifindex: 2, ifname: "eth0", mtu: 1500, link_type: "ether", address: "02:00:00:00:01:01", addr_info: [{ family: "inet", local: "10.0.1.1", prefixlen: 24 }] },
    { ifindex: 3, ifname: "eth1", mtu: 1500, link_type: "ether", address: "02:00:00:00:02:01", addr_info: [{ family: "inet", local: "10.0.2.1", prefixlen: 24 }] },
  ]);
  const rules = (name: string): string => (JSON.parse(readFileSync(oracle(`cases/${name}.json`), "utf8")) as OracleCase).iptables ?? "";

  it.each([["text", listing], ["JSON", `${json}\n`]])("sends on what the kernel sends on; the routes as %s", async (_kind, routes) => {
    const out = join(folder, "node.pcapng");
    const { exit, stdout, stderr } = await kubewire("replay", "--iptables", file("rules", rules("snat_basic")), "--routes", file("routes", routes),
      "--pcap", file("in.pcapng", packets("snat_basic")), "--out", out);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toContain("as UDP 10.0.2.1:1000 > 10.0.2.20:53");
    const want = (JSON.parse(readFileSync(oracle("results/snat_basic.json"), "utf8")) as { out: { dev: string; frame: string }[] }).out;
    const capture = readCapture(readFileSync(out));
    const sent = capture.packets.filter(({ direction }) => direction === "out")
      .map(({ interface: i, data }) => ({ dev: capture.interfaces[i]?.name?.split("/")[1], frame: Buffer.from(data).toString("hex") }));
    // The router's own ICMP errors have ids of their own.
    const forwarded = want.filter(({ frame }) => !frame.includes("45c0"));
    for (const { dev, frame } of forwarded) expect(sent).toContainEqual({ dev, frame });
  });

  it("takes nft's rules, alone or beside iptables'", async () => {
    const nft = file("nft", "table ip nat {\n\tchain out {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n" +
      "\t\tudp dport 53 snat to 10.0.2.1\n\t}\n}\n");
    const rest = ["--routes", file("routes", listing), "--pcap", file("in.pcapng", packets("snat_basic"))];
    const alone = await kubewire("replay", "--nft", nft, ...rest);
    expect({ exit: alone.exit, stderr: alone.stderr }).toEqual({ exit: 0, stderr: "" });
    expect(alone.stdout).toContain("as UDP 10.0.2.1:1000 > 10.0.2.20:53");
    const both = await kubewire("replay", "--nft", nft, "--iptables", file("rules", "*filter\n-A FORWARD -j DROP\nCOMMIT\n"), ...rest);
    expect(both.stdout).not.toContain("as UDP 10.0.2.1:1000");
    const wrong = await kubewire("replay", "--nft", file("nft", "table ip nat { chain c { nonsense } }\n"), ...rest);
    expect(wrong).toMatchObject({ exit: 1, stderr: expect.stringMatching(/^error: --nft: .*syntax error/s) as unknown });
  });

  it("says which file is bad, and where", async () => {
    const pcap = file("in.pcapng", packets("snat_basic"));
    const run = async (...args: string[]): Promise<string> => {
      const { exit, stderr } = await kubewire("replay", ...args);
      expect(exit).toBe(1);
      return stderr.replaceAll(folder, "");
    };
    const good = file("rules", rules("snat_basic"));
    expect(await run("--iptables", good)).toBe("error: --pcap FILE is needed as well\n");
    expect(await run("--iptables", good, "--pcap", file("no.pcap", "hello"))).toBe("error: /no.pcap: not a capture file: unknown magic number at byte 0\n");
    expect(await run("--iptables", good, "--pcap", pcap, "--routes", file("routes", "10.0.0.0/8 dev eth0\nnonsense here\n"))).toBe(
      "error: --routes line 2: not a line of ip: nonsense here\n");
    expect(await run("--iptables", file("rules", "*filter\n-A NOWHERE -j DROP\nCOMMIT\n"), "--pcap", pcap)).toMatch(/^error: --iptables: /);
  });
});
