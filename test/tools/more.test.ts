/** Commands that no recording has: what the real tools (iproute2 6.1.0, Linux 6.18) answer to the same lines. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { newMachine, type Machine } from "../../src/replay/machine.ts";
import { kernelModule } from "../kernel/harness.ts";

let machine: Machine;
beforeAll(async () => {
  machine = newMachine(new KernelInstance(await kernelModule(), newKernelMemory(true)));
  for (const ns of ["a", "b"]) run(ns, "ip link set lo up");
  run("a", "ip link add v0 type veth peer name v1 netns b");
  run("a", "ip link set v0 up");
  run("b", "ip link set v1 up");
});
afterAll(() => machine.end());

const tool = (ns: string, line: string, stdin = ""): { exitCode: number; stdout: string; stderr: string } => machine.tool(machine.within(ns), line.split(" "), stdin);
/** What it prints; it has to succeed. */
function run(ns: string, line: string, stdin = ""): string {
  const { exitCode, stdout, stderr } = tool(ns, line, stdin);
  expect(`${line}: ${exitCode} ${stderr}`).toBe(`${line}: 0 `);
  return stdout;
}

it("ip -batch - runs lines until one is refused, all of them with -force", () => {
  run("a", "ip -batch -", 'link add br1 type bridge # comment\n\nlink set br1 up \\\n mtu 1400\naddr add "1.2.3.4/24" dev br1\n');
  expect(run("a", "ip -br -batch -", "addr show br1\n")).toMatch(/^br1 .* 1\.2\.3\.4\/24/);
  expect(tool("a", "ip -batch -", "link set nosuch up\nlink show lo\n"))
    .toEqual({ exitCode: 1, stdout: "", stderr: 'Cannot find device "nosuch"\nCommand failed -:1\n' });
  const forced = tool("a", "ip -force -batch -", "bogus x\nlink set br1 down\n");
  expect(forced).toEqual({ exitCode: 1, stdout: "", stderr: 'Object "bogus" is unknown, try "ip help".\nCommand failed -:1\n' });
  expect(run("a", "ip -br link show br1")).toContain("DOWN");
});

it("a bridge has addresses of its own", () => {
  run("a", "bridge fdb add 00:11:22:33:44:55 dev br1 self");
  expect(run("a", "bridge fdb show br br1").split("\n")).toContain("00:11:22:33:44:55 dev br1 master br1 permanent");
  expect(run("a", "bridge fdb get 00:11:22:33:44:55 br br1")).toBe("00:11:22:33:44:55 dev br1 master br1 permanent\n");
  expect(tool("a", "bridge fdb add 00:11:22:33:44:55 dev br1 self")).toMatchObject({ exitCode: 255, stderr: "RTNETLINK answers: File exists\n" });
  run("a", "bridge fdb delete 00:11:22:33:44:55 dev br1 self");
  expect(run("a", "bridge fdb show br br1")).not.toContain("00:11:22:33:44:55");
});

it("answers for addresses that are proxied, and for no others", () => {
  run("a", "ip addr add 10.0.0.1/24 dev v0");
  run("b", "ip addr add 10.0.0.2/16 dev v1");
  run("a", "ip link add d type veth peer name d2");
  for (const name of ["d", "d2"]) run("a", `ip link set ${name} up`);
  run("a", "ip route add 10.0.5.0/24 dev d");
  run("a", "sysctl -w net.ipv4.ip_forward=1");
  run("a", "ip neigh add proxy 10.0.5.9 dev v0");
  expect(run("a", "ip neigh show proxy")).toBe("10.0.5.9 dev v0 proxy \n");
  expect(run("a", "cat /proc/net/arp")).toContain("10.0.5.9         0x1         0xc         00:00:00:00:00:00     *        v0\n");
  for (const address of ["10.0.5.8", "10.0.5.9"]) expect(tool("b", `ping -c 1 -W 4 ${address}`).exitCode).toBe(1);
  expect(run("b", "ip neigh show 10.0.5.9")).toMatch(/lladdr/);
  expect(run("b", "ip neigh show 10.0.5.8")).toMatch(/FAILED/);
  run("a", "ip neigh del proxy 10.0.5.9 dev v0");
  expect(tool("a", "ip neigh del proxy 10.0.5.9 dev v0")).toMatchObject({ exitCode: 2, stderr: "RTNETLINK answers: No such file or directory\n" });
});

it("keeps neighbours and proxies of IPv6", () => {
  run("a", "ip neigh add fd00::5 dev v0 lladdr 02:00:00:00:00:05");
  run("a", "ip neigh add proxy fd00::77 dev v0 router");
  expect(run("a", "ip -6 neigh show dev v0 nud permanent")).toBe("fd00::5 lladdr 02:00:00:00:00:05 PERMANENT \n");
  expect(run("a", "ip -j neigh show proxy").trim()).toBe('[{"dst":"fd00::77","dev":"v0","router":null,"proxy":null}]');
});

it("makes VXLAN devices with group policy, as it shows them", () => {
  run("a", "ip link add vx type vxlan id 7 dstport 4789 gbp udp6zerocsumtx udp6zerocsumrx proxy");
  expect(run("a", "ip -d link show vx"))
    .toContain("vxlan id 7 srcport 0 0 dstport 4789 proxy ttl auto ageing 300 udpcsum udp6zerocsumtx udp6zerocsumrx gbp addrgenmode");
});

it("ip6tables-nft drops what it says", () => {
  run("a", "ip addr add fd01::1/64 dev v0 nodad");
  run("b", "ip addr add fd01::2/64 dev v1 nodad");
  const counted = (): string => /^ +(\d+)/m.exec(run("a", "ip6tables-nft -L INPUT 1 -v -n"))?.[1] ?? "";
  run("a", "ip6tables-nft -A INPUT -p udp --dport 7 -j DROP");
  const socket = machine.namespaces.get("b")!.sockets.udp({ local: { address: "fd01::2", port: 9 } });
  for (const port of [7, 8]) socket.send(Uint8Array.of(1), { address: "fd01::1", port });
  machine.run(2000);
  expect(counted()).toBe("1");
  socket.close();
});
