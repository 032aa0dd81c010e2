/** What is measured: programs, what is in their maps, and the packet that they run on. The same on both sides. */

export interface Scenario {
  readonly name: string;
  readonly object: string;
  readonly program: string;
  /** Times the kernel's figure that the interpreter may take; the JIT 1.5. */
  readonly interpreterAim: number;
  /** Runs in one measurement of the kernel's or the JIT. */
  readonly repeat: number;
  readonly packet: Uint8Array;
  /** What programs return, so that it is known that they did what they should. */
  readonly retval: number;
  fill(update: (map: string, key: Uint8Array, value: Uint8Array) => void): void;
}

const RING_SIZE = 65_537;
const BACKENDS = 100;
const SERVICES = 64;
const PREFIXES = 1000;
const TCP = 6;
const CLIENT = [192, 0, 2, 1];
const VIP = [198, 51, 100, 7];
const SPORT = 40_000;
const DPORT = 443;

const be16 = (value: number): number[] => [value >> 8, value & 255];
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const bytes = (...parts: (readonly number[] | Uint8Array)[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

/** A TCP segment of 64 bytes from the client to the VIP. */
const SEGMENT = bytes(
  [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [8, 0], [0x45, 0, 0, 50, 0x12, 0x34, 0x40, 0, 64, TCP, 0, 0], CLIENT, VIP, be16(SPORT), be16(DPORT),
  [0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
);

const flow = (client: readonly number[], sport: number): Uint8Array => bytes(client, VIP, be16(sport), be16(DPORT), [TCP, 0, 0, 0]);
const service = (last: number): Uint8Array => bytes([198, 51, 100, last], be16(DPORT), [TCP, 0]);

/** Maglev (Eisenbud et al., 2016): each backend takes its next free place in turn. */
function maglev(): Uint32Array {
  const ring = new Uint32Array(RING_SIZE).fill(0xffffffff);
  const offset = Uint32Array.from({ length: BACKENDS }, (_, n) => (Math.imul(n + 1, 2654435761) >>> 0) % RING_SIZE);
  const skip = Uint32Array.from({ length: BACKENDS }, (_, n) => ((Math.imul(n + 1, 2246822519) >>> 0) % (RING_SIZE - 1)) + 1);
  const next = new Uint32Array(BACKENDS);
  for (let filled = 0; filled < RING_SIZE; ) {
    for (let backend = 0; backend < BACKENDS && filled < RING_SIZE; backend++) {
      let at: number;
      do at = (offset[backend]! + next[backend]!++ * skip[backend]!) % RING_SIZE; while (ring[at] !== 0xffffffff);
      ring[at] = backend;
      filled++;
    }
  }
  return ring;
}

function fillBalancer(update: (map: string, key: Uint8Array, value: Uint8Array) => void): void {
  for (let n = 0; n < SERVICES; n++) update("services", service(n), u32(n));
  maglev().forEach((backend, at) => update("ring", u32(at), u32(backend)));
  for (let n = 0; n < BACKENDS; n++) update("backends", u32(n), bytes([2, 0, 0, 1, 0, n], [1, 0], [10, 0, 1, n]));
}

/** Every program but the load balancer's finds its entry by the same flow. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "XDP parser, hash map", object: "xdp_flows", program: "xdp_flows", interpreterAim: 15, repeat: 500_000, packet: SEGMENT, retval: 2,
    fill(update) {
      for (let n = 0; n < 1000; n++) update("flows", flow([10, 1, n >> 8, n & 255], SPORT + n), new Uint8Array(16));
    },
  },
  {
    name: "load balancer, connection known", object: "xdp_maglev", program: "xdp_maglev", interpreterAim: 15, repeat: 300_000, packet: SEGMENT, retval: 3,
    fill: fillBalancer,
  },
  {
    name: "load balancer, every one new", object: "xdp_maglev", program: "xdp_maglev_new", interpreterAim: 15, repeat: 100_000, packet: SEGMENT, retval: 3,
    fill: fillBalancer,
  },
  {
    name: "LPM policy", object: "tc_policy", program: "tc_policy", interpreterAim: 15, repeat: 300_000, packet: SEGMENT, retval: 0,
    fill(update) {
      for (let n = 0; n < PREFIXES; n++) update("identities", bytes(u32(24), [10, n >> 8, n & 255, 0]), u32(1000 + n));
      update("identities", bytes(u32(8), [192, 0, 0, 0]), u32(1));
      update("identities", bytes(u32(24), [...CLIENT.slice(0, 3), 0]), u32(2));
      update("identities", bytes(u32(16), [198, 51, 0, 0]), u32(3));
      update("identities", bytes(u32(32), VIP), u32(4));
      for (let n = 0; n < 500; n++) update("rules", bytes(u32(n), u32(4), be16(DPORT), [TCP, 0]), new Uint8Array(16));
    },
  },
  {
    name: "1,000 steps of arithmetic", object: "xdp_alu", program: "xdp_alu", interpreterAim: 25, repeat: 30_000, packet: SEGMENT, retval: -1,
    fill() {},
  },
];

export const OBJECTS = [...new Set(SCENARIOS.map(({ object }) => object)), "big"];
