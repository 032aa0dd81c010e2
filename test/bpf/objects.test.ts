/** Objects of this folder's C sources, built here by clang: what the kernel gave for them through libbpf, their text, and corrupt ones. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Btf, BtfKind } from "../../src/bpf/btf.ts";
import { btfOfC } from "../../src/bpf/c-types.ts";
import { btfCodec } from "../../src/bpf/codec.ts";
import { listing } from "../../src/bpf/disasm.ts";
import { BpfObjectError } from "../../src/bpf/errors.ts";
import { bpfOn, packet, XdpAction } from "../../src/bpf/index.ts";
import { isLddw } from "../../src/bpf/insn.ts";
import { kernelBtf, kernelOffset, kernelTarget } from "../../src/bpf/kernel-btf.ts";
import { linkObject } from "../../src/bpf/link.ts";
import { openObject } from "../../src/bpf/object.ts";
import { caseDifference, type RecordedCase } from "../../src/bpf/recordings.ts";
import { sectionDef } from "../../src/bpf/sections.ts";
import { AttachType, ProgType } from "../../src/bpf/uapi.ts";
import { printInsn } from "../../src/bpf/verifier/disasm.ts";
import { KernelInstance, newKernelMemory } from "../../src/kernel/memory.ts";
import { kernelModule, shared } from "../kernel/harness.ts";
import { buildObject } from "./objects/build.mjs";

const folder = new URL("../../.cache/bpf-objects/", import.meta.url).pathname;
beforeAll(() => void mkdirSync(folder, { recursive: true }));

const object = (name: string, level = "v3"): Uint8Array => new Uint8Array(readFileSync(buildObject(name, level, folder)));
const sample = (name: string, level = "v3"): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`bpf/samples/build/${level}/${name}.o`, shared)));

const { cases } = JSON.parse(readFileSync(new URL("objects/recorded.json", import.meta.url), "utf8")) as { cases: RecordedCase[] };

test.each(cases.map((recorded) => [recorded.object, recorded.name, recorded.levels![0]!, recorded] as const))(
  "%s: %s at %s gives what the kernel gave", async (name, _case, level, recorded) => {
    const module = await kernelModule("release");
    for (const engine of ["interpreter", "jit"] as const) {
      expect(caseDifference(new KernelInstance(module, newKernelMemory(true)), object(name, level), recorded, { engine }), engine).toBeUndefined();
    }
  });

/** An instruction in the kernel's words as llvm-objdump would have it. */
const asLlvm = (text: string): string => text
  .replace(/^\(..\) /, "")
  .replace(/\((r\d+) ([+-])(\d+)\)/g, "($1 $2 $3)")
  .replace(/^(if .*) (0x[0-9a-f]+) goto/, (_, head: string, number: string) => `${head} ${Number(number) | 0} goto`)
  .replace(/goto pc/, "goto ")
  .replace(/^call pc\+?(-?\d+)$/, "call $1")
  .replace(/^call .*#(-?\d+)$/, "call $1")
  .replace(/^(r\d+ = )(0x[0-9a-f]+)$/, (_, head: string, number: string) => `${head}${BigInt.asIntN(64, BigInt(number))} ll`)
  .replace("atomic64_fetch", "atomic_fetch")
  .replace(/^r(\d+) = atomic64_xchg\(\(u64 \*\)\((.*)\), r\d+\)$/, "r$1 = xchg_64($2, r$1)")
  .replace(/^r(\d+) = atomic_xchg\(\(u32 \*\)\((.*)\), r\d+\)$/, "w$1 = xchg32_32($2, w$1)")
  .replace(/^r0 = atomic64_cmpxchg\(\(u64 \*\)\((.*)\), r0, r(\d+)\)$/, "r0 = cmpxchg_64($1, r0, r$2)")
  .replace(/^r0 = atomic_cmpxchg\(\(u32 \*\)\((.*)\), r0, r(\d+)\)$/, "w0 = cmpxchg32_32($1, w0, w$2)");

describe("text of instructions", () => {
  const check = (bytes: Uint8Array, path: string): number => {
    const dumped = execFileSync("llvm-objdump", ["-d", "--no-show-raw-insn", "--mattr=+alu32", path], { encoding: "utf8" });
    const theirs = dumped.split("\n").flatMap((line) => /^\s+\d+:\s+(.*)$/.exec(line)?.[1] ?? []).map((text) => text
      .replace(/ <[\w.+-]+>$/, "")
      // The halves of registers are one register to the kernel where the width is the memory's.
      .replace(/^w(\d+) = (\*\(u(?:8|16|32) )/, "r$1 = $2").replace(/^((?:lock )?\*\(u(?:8|16|32) \*\).*) w(\d+)$/, "$1 r$2")
      .replace(/^w(\d+) = (atomic_fetch_\w+\(\(u32 .*), w\d+\)$/, "r$1 = $2, r$1)"));
    const ours = openObject(bytes).programs.flatMap(({ insns }) =>
      insns.flatMap((insn, slot) => (slot > 0 && isLddw(insns[slot - 1]!) ? [] : [asLlvm(printInsn(insn, insns[slot + 1]))])));
    expect(ours.toSorted()).toEqual(theirs.toSorted());
    return ours.length;
  };
  test.each(["xdp_count", "tc_nat", "percpu_stats", "ringbuf_events"])("%s as llvm-objdump prints it", (name) => {
    for (const level of ["v1", "v2", "v3"]) expect(check(sample(name, level), new URL(`bpf/samples/build/${level}/${name}.o`, shared).pathname)).toBeGreaterThan(30);
  });
  test.each(["globals", "loops", "nested", "atomics", "timers", "types"])("%s of our own", (name) => {
    for (const level of ["v2", "v3"]) check(object(name, level), buildObject(name, level, folder));
  });
  test("a listing names functions, maps and source lines", () => {
    const linked = linkObject(openObject(object("globals")), kernelTarget()).find(({ program }) => program.name === "main_prog")!;
    const text = listing(linked).join("\n");
    expect(text).toMatch(/^main_prog:\n; int main_prog\(struct xdp_md \*ctx\) \[file:.*globals\.c line_num:\d+ line_col:\d+\]\n {3}0: \(/);
    for (const part of ["call pc+", "#fib", "map[out]", "map[.rodata][0]+0", "map[.data.side]", "\nput:\n", "\nweak_one:\n"]) expect(text).toContain(part);
  });
});

test("section names mean what libbpf's table says", () => {
  const { XDP, SCHED_CLS, KPROBE, TRACING, CGROUP_SOCK_ADDR } = ProgType;
  const rows: readonly [string, number | undefined, number?, number?][] = [
    ["xdp", XDP, AttachType.XDP], ["xdp.frags", XDP, AttachType.XDP, 32], ["xdp/eth0", undefined], ["tc", SCHED_CLS, 0], ["tcx/ingress", SCHED_CLS, 46],
    ["classifier", SCHED_CLS], ["kprobe/tcp_v4_connect", KPROBE], ["kprobe", KPROBE], ["kprobes", undefined], ["uprobe.s/x:y", KPROBE, 0, 16],
    ["fentry/ip_rcv", TRACING, AttachType.TRACE_FENTRY], ["cgroup/connect4", CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_CONNECT], ["iter.s/task", TRACING, 28, 16],
    ["sk_skb/stream_parser", ProgType.SK_SKB, 4], ["netfilter", ProgType.NETFILTER, 45], ["nothing", undefined],
  ];
  for (const [name, type, attachType, flags] of rows) {
    const def = sectionDef(name);
    expect(def?.type, name).toBe(type);
    if (attachType !== undefined) expect(def?.attachType, name).toBe(attachType);
    if (flags !== undefined) expect(def?.flags, name).toBe(flags);
  }
});

describe("bad objects", () => {
  const refusal = (bytes: Uint8Array): BpfObjectError => {
    try {
      linkObject(openObject(bytes, { name: "bad" }), kernelTarget());
    } catch (error) {
      if (error instanceof BpfObjectError) return error;
      throw error;
    }
    throw new Error("was taken");
  };
  test("libbpf's words", () => {
    const good = sample("xdp_count");
    const changed = (at: number, value: number): Uint8Array => {
      const bytes = good.slice();
      bytes[at] = value;
      return bytes;
    };
    expect(refusal(new Uint8Array(10)).message).toContain("failed to get ELF header from bad");
    expect(refusal(changed(16, 2)).message).toBe("elf: bad is not a valid eBPF object file");
    expect(refusal(changed(5, 2)).errno).toBe("ENDIAN");
    expect(refusal(renamed(good, ".maps", "mapsX")).message).toContain("map relo against");
    expect(refusal(renamed(good, ".BTF", ".XTF")).message).toContain("DATASEC '.maps' not found.");
  });

  test("mutated ones are refused or opened, never anything else", () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const target = kernelTarget();
    let refused = 0;
    let opened = 0;
    for (const original of [sample("xdp_count", "v1"), sample("tc_nat", "v1"), object("globals"), object("nested"), object("core")]) {
      for (let round = 0; round < 60; round++) {
        const bytes = round % 10 === 0 ? original.slice(0, random(original.length)) : original.slice();
        for (let i = 0; i <= random(6) && bytes.length > 0; i++) bytes[random(bytes.length)] = random(3) === 0 ? 0xff : random(256);
        try {
          linkObject(openObject(bytes), target);
          opened++;
        } catch (error) {
          if (!(error instanceof BpfObjectError)) throw error;
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(20);
    expect(opened).toBeGreaterThan(20);
  });
});

/** Another name of the same length for a section, in the string table. */
function renamed(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const copy = Buffer.from(bytes.slice());
  const needle = Buffer.from(`${from}\0`);
  for (let at = copy.indexOf(needle); at >= 0; at = copy.indexOf(needle, at + 1)) copy.write(to, at, "latin1");
  return new Uint8Array(copy);
}

describe("types", () => {
  test("C structures are laid out as compilers do", () => {
    const btf = btfOfC("typedef unsigned char u8; struct s { u8 a; unsigned int b : 3, c : 30; struct { u8 d[3]; union { u8 e; unsigned long long f; }; }; void (*g)(int); };");
    const type = btf.type(btf.find("s", BtfKind.STRUCT))!;
    expect(type.size).toBe(32);
    expect(type.members!.map(({ name, offset, bits }) => [name, offset, bits])).toEqual([["a", 0, 0], ["b", 8, 3], ["c", 32, 30], ["", 64, 0], ["g", 192, 0]]);
  });

  test("kernel structures have the kernel's offsets", () => {
    expect(kernelOffset("iphdr", "saddr")).toBe(12);
    expect(kernelOffset("pt_regs", "di")).toBe(112);
    expect(kernelOffset("sock_common", "skc_daddr")).toBe(0);
    expect(() => kernelOffset("iphdr", "nothing")).toThrow(RangeError);
    const sized = kernelBtf().types.filter((type) => type?.kind === BtfKind.STRUCT && type.name !== "");
    expect(sized.length).toBeGreaterThan(20);
  });

  test("values of maps by their types", () => {
    const btf = btfOfC("enum e { A, B = 5 }; struct v { char name[8]; unsigned char raw[4]; enum e e; long long big; unsigned short flags : 3, rest : 13; union { int i; unsigned int u; }; _Bool yes; };");
    const codec = btfCodec(btf, btf.find("v", BtfKind.STRUCT));
    const view = new DataView(new ArrayBuffer(codec.size));
    const value = { name: "eth0", raw: Uint8Array.of(1, 2, 3, 4), e: 5, big: -1n, flags: 5, rest: 8191, i: -2, u: 4294967294, yes: true };
    codec.write(view, 0, { ...value, e: "B", u: undefined });
    expect(codec.read(view, 0)).toEqual(value);
    expect(() => codec.write(view, 0, { nothing: 1 })).toThrow(TypeError);
    expect(() => codec.write(view, 0, { flags: 8 })).toThrow(RangeError);
    expect(new Btf([undefined]).sizeOf(1)).toBeUndefined();
  });
});

test("the library: globals, packets, typed maps, faults", async () => {
  const module = new WebAssembly.Module(readFileSync(new URL("../../build/kernel.plain.wasm", import.meta.url)));
  const bpf = bpfOn(async () => module);
  const loaded = await bpf.loadObject(object("globals"), { globals: { ".rodata": { limit: 10 } } });
  const frame = packet({ ipv4: { source: "192.0.2.1", destination: "198.51.100.7" }, udp: { source: 1, destination: 2 }, payload: "x" });
  expect(loaded.programs["main_prog"]!.run({ packet: frame })).toMatchObject({ retval: XdpAction.PASS, packet: frame });
  expect(loaded.maps["out"]!.get(0)).toBe(55n);
  expect(loaded.maps[".data"]!.get(0)).toMatchObject({ counter: 100n + BigInt(frame.length) });
  expect(loaded.maps[".data.side"]!.get(0)).toMatchObject({ side: 19, side_array: [1, 4, 3] });
  loaded.close();
  await expect(bpf.loadObject(sample("xdp_count").slice(0, 100))).rejects.toThrow(BpfObjectError);
  // r0 = *(u64 *)(r1 + 0); exit
  const raw = await bpf.loadInstructions(Uint8Array.from([0x79, 0x10, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]));
  expect(raw.run(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)).r0).toBe(1n);
  expect(() => raw.run()).toThrow(/invalid read/);
  raw.close();
});
