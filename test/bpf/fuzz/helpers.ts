/** Calls of helpers whose results are the same everywhere, for random programs. Each leaves a number in r0 and nothing in r1 to r5. */
import type { Insn } from "../../../src/bpf/insn.ts";
import { alu, helper, jump, ldx, mov, st, stx } from "../host/asm.ts";
import type { Dice } from "../../kernel/fuzz/random.ts";
import { HASH_VALUE, MAP, mapFd } from "./maps.ts";
import type { Node } from "./program.ts";

export interface HelperContext {
  readonly dice: Dice;
  /** Register of the context. */
  readonly ctx: number | undefined;
  readonly type: "xdp" | "sched_cls";
  readonly packetHeld: boolean;
  imm(): number;
  /** A register of r6 to r9 that holds a number. */
  scalar(): number | undefined;
  /** A small u32 at r10 + off. */
  key(off: number, most: number): Insn[];
}

type Make = (context: HelperContext) => Node | undefined;

const stackAt = (register: number, off: number): Insn[] => [mov(register, { reg: 10 }), alu(64, "add", register, { imm: off })];

/** r`register` = a number: of a register or constant. */
const number = ({ dice, scalar, imm }: HelperContext, register: number): Insn => {
  const from = scalar();
  return from !== undefined && dice.once(2) ? mov(register, { reg: from }) : mov(register, imm());
};

const HASHES = [[MAP.HASH, HASH_VALUE], [MAP.LRU, 8], [MAP.ARRAY, 48], [MAP.PERCPU_HASH, 16], [MAP.PERCPU, 16]] as const;

const update: Make = (c) => {
  const [map] = c.dice.pick(HASHES);
  return { insns: [...c.key(-4, 8), ...mapFd(1, map), ...stackAt(2, -4), ...stackAt(3, -64), mov(4, c.dice.pick([0, 0, 1, 2, 3, 4])), helper(2)] };
};

const remove: Make = (c) => ({ insns: [...c.key(-4, 8), ...mapFd(1, c.dice.pick(HASHES)[0]), ...stackAt(2, -4), helper(3)] });

const lpmUpdate: Make = (c) => ({
  insns: [
    st("w", 10, -16, c.dice.pick([0, 1, 8, 24, 32, 33])), ...mapFd(1, MAP.LPM), ...stackAt(2, -16), ...stackAt(3, -32), mov(4, c.dice.pick([0, 0, 1, 2])),
    helper(c.dice.once(4) ? 3 : 2),
  ],
});

const push: Make = (c) => ({ insns: [...mapFd(1, c.dice.pick([MAP.QUEUE, MAP.STACK])), ...stackAt(2, -8 * c.dice.from(1, 8)), mov(3, c.dice.pick([0, 2, 2])), helper(87)] });
const pop: Make = (c) => ({ insns: [...mapFd(1, c.dice.pick([MAP.QUEUE, MAP.STACK])), ...stackAt(2, -8 * c.dice.from(1, 8)), helper(c.dice.pick([88, 89]))] });

const output: Make = (c) => {
  const off = -8 * c.dice.from(1, 8);
  return { insns: [...mapFd(1, MAP.RINGBUF), ...stackAt(2, off), mov(3, c.dice.from(1, -off)), mov(4, c.dice.pick([0, 1, 2])), helper(130)] };
};

const reserve: Make = (c) => {
  const size = 8 * c.dice.from(1, 8);
  return {
    group: [
      { insns: [...mapFd(1, MAP.RINGBUF), mov(2, size), mov(3, 0), helper(131)] },
      {
        test: jump(64, "jeq", 0, { imm: 0 }, 0),
        body: [{ insns: [
          ...Array.from({ length: size / 8 }, (_, n) => (c.dice.once(2) ? st("dw", 0, 8 * n, c.imm()) : st("dw", 0, 8 * n, n))), mov(1, { reg: 0 }),
          mov(2, c.dice.pick([0, 1, 2])), helper(c.dice.pick([132, 132, 133])),
        ] }],
      },
      { insns: [mov(0, 7)] },
    ],
  };
};

const csumDiff: Make = (c) => ({
  insns: [...stackAt(1, -64), mov(2, 4 * c.dice.below(9)), ...stackAt(3, -32), mov(4, 4 * c.dice.below(9)), number(c, 5), helper(28)],
});

const cpu: Make = () => ({ insns: [helper(8)] });

const strtol: Make = (c) => ({
  insns: [
    st("w", 10, -16, c.dice.pick([0x31322d20, 0x37387830, 0x39393939, 0x00343332, 0x2b312020])), ...stackAt(1, -16), mov(2, c.dice.from(1, 8)),
    mov(3, c.dice.pick([0, 8, 10, 16])), ...stackAt(4, -8), helper(c.dice.pick([105, 106])),
  ],
});

/** bpf_xdp_load_bytes, bpf_xdp_store_bytes, bpf_skb_load_bytes, bpf_skb_store_bytes. */
const bytes: Make = (c) => {
  if (c.ctx === undefined) return undefined;
  const length = c.dice.from(1, 32);
  const load = c.dice.once(2);
  if (!load && c.packetHeld) return undefined;
  const from = c.scalar();
  const at = from !== undefined && c.dice.once(3) ? [mov(2, { reg: from }), alu(64, "and", 2, { imm: 127 })] : [mov(2, c.dice.from(0, 80))];
  const common = [mov(1, { reg: c.ctx }), ...at, ...stackAt(3, -64 + c.dice.below(33)), mov(4, length)];
  if (c.type === "xdp") return { insns: [...common, helper(load ? 189 : 190)] };
  return { insns: load ? [...common, helper(26)] : [...common, mov(5, c.dice.pick([0, 1, 2])), helper(9)] };
};

const adjust: Make = (c) => {
  if (c.ctx === undefined || c.packetHeld) return undefined;
  const by = c.dice.pick([-32, -16, -4, -2, 0, 2, 4, 14, 20, 64, -300]);
  if (c.type === "xdp") return { insns: [mov(1, { reg: c.ctx }), mov(2, by), helper(c.dice.pick([44, 65, 65, 54]))] };
  return c.dice.pick<() => Node>([
    // change_tail, vlan_push, vlan_pop, pull_data, change_type
    () => ({ insns: [mov(1, { reg: c.ctx! }), mov(2, c.dice.from(40, 300)), mov(3, 0), helper(38)] }),
    () => ({ insns: [mov(1, { reg: c.ctx! }), mov(2, c.dice.pick([0x0081, 0xa888, 0])), mov(3, c.dice.below(4096)), helper(18)] }),
    () => ({ insns: [mov(1, { reg: c.ctx! }), helper(19)] }),
    () => ({ insns: [mov(1, { reg: c.ctx! }), mov(2, c.dice.pick([0, 14, 34, 54, 1000])), helper(39)] }),
    () => ({ insns: [mov(1, { reg: c.ctx! }), mov(2, c.dice.below(5)), helper(32)] }),
  ])();
};

const csumReplace: Make = (c) => {
  if (c.ctx === undefined || c.packetHeld || c.type === "xdp") return undefined;
  const l4 = c.dice.once(2);
  const size = c.dice.pick([0, 2, 4]);
  const flags = l4 ? size | c.dice.pick([0, 0x10, 0x20, 0x40]) : size;
  return {
    insns: [mov(1, { reg: c.ctx }), mov(2, c.dice.pick([24, 40, 50])), size === 0 ? mov(3, 0) : number(c, 3), number(c, 4), mov(5, flags), helper(l4 ? 11 : 10)],
  };
};

/** A ring slot is written by what was left on the stack. */
const spread: Make = (c) => {
  const from = c.scalar();
  return from === undefined ? undefined : { insns: [stx("dw", 10, -8 * c.dice.from(1, 8), from), ldx("dw", 0, 10, -8 * c.dice.from(1, 8))] };
};

export const HELPERS: readonly Make[] = [
  update, update, remove, lpmUpdate, push, pop, output, reserve, csumDiff, cpu, strtol, bytes, bytes, adjust, adjust, csumReplace, spread,
];
