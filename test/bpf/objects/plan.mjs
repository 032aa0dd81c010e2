// What is done with each object: the cases whose answers record.mjs takes from the kernel of this machine.
const eth = "020000000102020000000002";
const udp = `${eth}0800450000291234000040117c54c0000201c63364070035003500150000` + "68656c6c6f20776f726c6421";
const long = `${udp}${"ab".repeat(200)}`;
const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer).toString("hex");
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer).toString("hex");
const skb = (fields = {}) => {
  const bytes = Buffer.alloc(192);
  for (const [offset, value] of Object.entries(fields)) bytes.writeUInt32LE(value, Number(offset));
  return bytes.toString("hex");
};
/** struct bpf_sk_lookup of a TCP connection over IPv4 to a local port. */
const sk_lookup = (port) => {
  const bytes = Buffer.alloc(72);
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE(6, 12);
  bytes.writeUInt32LE(0x0100000a, 16);
  bytes.writeUInt16BE(40000, 36);
  bytes.writeUInt32LE(0x0200000a, 40);
  bytes.writeUInt32LE(port, 60);
  return bytes.toString("hex");
};
const xdp = (prog, data_in, more) => ({ prog, hook: "xdp", data_in, ...more });
const tc = (prog, data_in, more) => ({ prog, hook: "sched_cls", data_in, ctx_in: skb(), ...more });

export const CASES = [
  { object: "globals", name: "as built", steps: [xdp("main_prog", udp), xdp("main_prog", long, { repeat: 3 }), tc("second", long)] },
  { object: "globals", name: "with values", globals: [{ section: ".rodata", symbol: "limit", offset: 0, value: u32(12) }, { section: ".data", symbol: "counter", offset: 0, value: u64(5) },
    { section: ".data.side", symbol: "side_array", offset: 4, value: u32(40) }], steps: [xdp("main_prog", udp), tc("second", udp)] },
  { object: "loops", name: "callbacks", map_set: [{ map: "numbers", key: u32(3), value: u64(9) }, { map: "table", key: u32(7), value: u64(1) }, { map: "table", key: u32(8), value: u64(2) }],
    steps: [tc("walk", udp), xdp("sums", long)] },
  { object: "nested", name: "tail calls", steps: [xdp("entry", udp), xdp("one", udp), xdp("forever", udp)] },
  { object: "nested", name: "tail calls, set", map_set: [{ map: "jumps", key: u32(2), prog: "forever" }], steps: [xdp("entry", udp), xdp("two", udp, { repeat: 2 })] },
  { object: "nested", name: "maps", map_set: [{ map: "routes", key: "08000000" + "02000000", value: u32(8) }, { map: "routes", key: "18000000" + "00000002", value: u32(24) }],
    steps: [xdp("maps", "00" + udp.slice(2)), xdp("maps", "02" + udp.slice(2)), xdp("maps", "03" + udp.slice(2)), xdp("maps", udp.replace(/^02/, "01")), xdp("maps", "0005000000000000" + udp.slice(16))] },
  { object: "atomics", name: "ops", steps: [tc("ops", udp), tc("ops", long, { ctx_in: skb({ 8: 7 }) })] },
  { object: "core", name: "facts", steps: [tc("facts", udp)] },
  { object: "timers", name: "timer", steps: [tc("arm", udp), tc("arm", udp)] },
  { object: "timers", name: "rings", steps: [tc("rings", udp), tc("rings", long)] },
  { object: "types", name: "packets", steps: [{ prog: "filter", data_in: udp }, { prog: "filter", data_in: long }, { prog: "egress", data_in: udp }, tc("helpers", udp), tc("helpers", long), xdp("adjust", udp)] },
  { object: "types", name: "contexts", steps: [{ prog: "raw", ctx_in: u64(41) + u64(7) + u64(0).repeat(10) }, { prog: "call", ctx_in: u64(0) }, { prog: "lookup", ctx_in: sk_lookup(443) }, { prog: "lookup", ctx_in: sk_lookup(80) }] },
];
