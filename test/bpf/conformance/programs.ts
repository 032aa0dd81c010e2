/**
 * Small programs for every instruction of RFC 9669, in the form of the batch protocol: r1 = memory, r2 = its length. Those of a group
 * share inputs: two 64-bit numbers in memory, loaded into the operands, so that no compiler or verifier knows them. record.mjs asks the
 * kernel what each gives.
 */
import { encodeInsns, type Insn } from "../../../src/bpf/insn.ts";
import {
  ALU_OPS, type AluOp, ATOMIC_OPS, type AtomicOp, JUMP_OPS, type JumpOp, SIZE_BYTES, SIZES, type Size, type Width, alu, atomic, call, exit, helper,
  ja, ja32, jump, lddw, ldx, ldxsx, loadAcquire, mov, movsx, neg, st, storeRelease, stx, swap,
} from "../host/asm.ts";

export interface ConformanceProgram {
  readonly name: string;
  readonly insns: readonly Insn[];
  /** The same for a verifier that refuses `insns` (constant shifts out of range, division by a constant 0, what is never reached). */
  readonly judged?: readonly Insn[];
}

export interface ConformanceGroup {
  readonly group: string;
  readonly inputs: readonly string[];
  readonly programs: readonly ConformanceProgram[];
}

const NUMBERS = [
  0n, 1n, 2n, 7n, 31n, 33n, 63n, 64n, 0x7fn, 0x80n, 0xffffn, 0x8000n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x123456789abcdef0n,
  0x7fffffffffffffffn, 0x8000000000000000n, 0xffffffffffffffffn, 0xffffffff80000000n, 0xfffffffffffffff9n,
];

/** Pairs whose order, sign, width or divisor matters, beside each number with another. */
const PAIRS: readonly (readonly [bigint, bigint])[] = [
  [0n, 0n], [5n, 0n], [0x123456789abcdef0n, 0n], [0x8000000000000000n, 0xffffffffffffffffn], [0x80000000n, 0xffffffffn],
  [0xffffffff80000000n, 0xffffffffffffffffn], [0x1_0000_0007n, 0x1_0000_0007n], [0x2_0000_0007n, 0x1_0000_0007n], [0xfffffffffffffff9n, 2n],
  [7n, 0xfffffffffffffffen], [0x7fffffffffffffffn, 1n], [0xdeadbeefcafef00dn, 0x0123456789abcdefn], [1n, 32n], [0x8123456789abcdefn, 68n],
  [0xfedcba9876543210n, 31n], [0xffffffff00000000n, 0x100000000n],
];

const hex = (numbers: readonly bigint[]): string =>
  numbers.map((number) => Array.from({ length: 8 }, (_, n) => ((number >> BigInt(8 * n)) & 255n).toString(16).padStart(2, "0")).join("")).join("");

const pairInputs = PAIRS.map((pair) => hex(pair));
/** Each number once on the left. */
const numberInputs = NUMBERS.map((number, n) => hex([number, NUMBERS[(n * 7 + 3) % NUMBERS.length]!]));

const OPS = Object.keys(ALU_OPS) as AluOp[];
const JUMPS = Object.keys(JUMP_OPS) as JumpOp[];
const WIDTHS: readonly Width[] = [64, 32];
const IMMEDIATES = [1, -1, 2, 7, 255, 0x7fffffff, -0x80000000, 0x12345678];
const SHIFTS = [0, 1, 7, 15, 31, 32, 33, 63, 64, -1];
const isShift = (op: AluOp): boolean => op === "lsh" || op === "rsh" || op === "arsh";
const divides = (op: AluOp): boolean => op === "div" || op === "mod" || op === "sdiv" || op === "smod";

/** dst and src take turns among all registers that r1, the memory, leaves. */
const REGISTERS: readonly (readonly [number, number])[] = [[0, 3], [3, 0], [6, 7], [9, 2], [5, 8], [2, 4], [8, 9], [4, 6], [7, 5]];
const registersOf = (n: number): readonly [number, number] => REGISTERS[n % REGISTERS.length]!;

/** r0 = dst, unless it is. */
const result = (dst: number): Insn[] => (dst === 0 ? [exit()] : [mov(0, { reg: dst }), exit()]);

function arithmetic(): ConformanceProgram[] {
  const programs: ConformanceProgram[] = [];
  let n = 0;
  for (const width of WIDTHS) {
    for (const op of OPS) {
      const [dst, src] = registersOf(n++);
      const operands = [ldx("dw", dst, 1, 0), ldx("dw", src, 1, 8)];
      programs.push({ name: `${op}${width} r${dst}, r${src}`, insns: [...operands, alu(width, op, dst, { reg: src }), ...result(dst)] });
      const same = registersOf(n + 4)[0];
      programs.push({
        name: `${op}${width} r${same}, r${same}`, insns: [ldx("dw", same, 1, 0), alu(width, op, same, { reg: same }), ...result(same)],
      });
      // The operand is left alone.
      programs.push({ name: `${op}${width} keeps src`, insns: [...operands, alu(width, op, dst, { reg: src }), ...result(src)] });
      for (const imm of isShift(op) ? SHIFTS : divides(op) ? [0, ...IMMEDIATES] : IMMEDIATES) {
        const [to, other] = registersOf(n++);
        const refused = isShift(op) ? imm < 0 || imm >= width : divides(op) && imm === 0;
        const load = ldx("dw", to, 1, 0);
        programs.push({
          name: `${op}${width} r${to}, ${imm}`, insns: [load, alu(width, op, to, { imm }), ...result(to)],
          ...(refused ? { judged: [load, mov(other, imm), alu(width, op, to, { reg: other }), ...result(to)] } : {}),
        });
      }
    }
    const [dst] = registersOf(n++);
    programs.push({ name: `neg${width} r${dst}`, insns: [ldx("dw", dst, 1, 0), neg(width, dst), ...result(dst)] });
  }
  return programs;
}

function moves(): ConformanceProgram[] {
  const programs: ConformanceProgram[] = [];
  let n = 0;
  for (const width of WIDTHS) {
    for (const bits of [8, 16, 32] as const) {
      if (width === 32 && bits === 32) continue;
      for (const same of [false, true]) {
        const [dst, other] = registersOf(n++);
        const src = same ? dst : other;
        programs.push({
          name: `movsx${bits}to${width} r${dst}, r${src}`,
          insns: [ldx("dw", src, 1, 0), ...(same ? [] : [mov(dst, -1)]), movsx(width, bits, dst, src), ...result(dst)],
        });
      }
    }
  }
  for (const kind of ["le", "be", "bswap"] as const) {
    for (const bits of [16, 32, 64] as const) {
      for (let each = 0; each < 2; each++) {
        const [dst] = registersOf(n++);
        programs.push({ name: `${kind}${bits} r${dst}`, insns: [ldx("dw", dst, 1, 0), swap(kind, bits, dst), ...result(dst)] });
      }
    }
  }
  return programs;
}

function jumps(): ConformanceProgram[] {
  const programs: ConformanceProgram[] = [];
  let n = 0;
  for (const width of WIDTHS) {
    for (const op of JUMPS) {
      const [dst, src] = registersOf(n++);
      const end = [mov(0, 1), ja(1), mov(0, 2), exit()];
      programs.push({
        name: `${op}${width} r${dst}, r${src}`,
        insns: [ldx("dw", dst, 1, 0), ldx("dw", src, 1, 8), jump(width, op, dst, { reg: src }, 2), ...end],
      });
      programs.push({
        name: `${op}${width} r${src}, r${src}`, insns: [ldx("dw", src, 1, 0), jump(width, op, src, { reg: src }, 2), ...end],
      });
      for (const imm of [0, 1, -1, 7, 0x7fffffff, -0x80000000]) {
        const [to] = registersOf(n++);
        programs.push({ name: `${op}${width} r${to}, ${imm}`, insns: [ldx("dw", to, 1, 0), jump(width, op, to, { imm }, 2), ...end] });
      }
      // Backwards: at most 20 times round.
      programs.push({
        name: `${op}${width} backwards`,
        insns: [
          ldx("dw", 3, 1, 0), ldx("dw", 4, 1, 8), mov(0, 0), mov(5, 0), alu(64, "add", 5, { imm: 1 }), jump(64, "jgt", 5, { imm: 20 }, 3),
          alu(64, "add", 0, { imm: 3 }), alu(64, "add", 3, { imm: 1 }), jump(width, op, 3, { reg: 4 }, -5), exit(),
        ],
      });
    }
  }
  programs.push(
    { name: "ja over", insns: [mov(0, 1), ja(1), mov(0, 2), exit()], judged: [mov(0, 1), exit()] },
    { name: "ja 0", insns: [mov(0, 1), ja(0), exit()] },
    { name: "ja32 over", insns: [mov(0, 1), ja32(2), mov(0, 2), exit(), alu(64, "add", 0, { imm: 5 }), exit()], judged: [mov(0, 6), exit()] },
    { name: "ja32 back", insns: [mov(0, 0), ja32(2), alu(64, "add", 0, { imm: 5 }), exit(), mov(0, 7), ja32(-4)] },
    {
      name: "ja back and forth",
      insns: [mov(0, 0), ja(3), alu(64, "add", 0, { imm: 1 }), ja(3), exit(), alu(64, "add", 0, { imm: 2 }), ja(-5), ja(-4)],
    },
  );
  return programs;
}

function memory(): ConformanceProgram[] {
  const programs: ConformanceProgram[] = [];
  const sizes = Object.keys(SIZES) as Size[];
  let n = 0;
  for (const size of sizes) {
    for (const off of [0, 1, 3, 5, 16 - SIZE_BYTES[size]]) {
      const [dst] = registersOf(n++);
      programs.push({ name: `ldx${size} r${dst}, [r1+${off}]`, insns: [mov(dst, -1), ldx(size, dst, 1, off), ...result(dst)] });
      if (size !== "dw") programs.push({ name: `ldxsx${size} r${dst}, [r1+${off}]`, insns: [ldxsx(size, dst, 1, off), ...result(dst)] });
    }
    programs.push({ name: `ldx${size} onto its address`, insns: [ldx(size, 1, 1, 8), ...result(1)] });
    programs.push({
      name: `ldx${size} below its address`, insns: [mov(3, { reg: 1 }), alu(64, "add", 3, { imm: 12 }), ldx(size, 0, 3, -11), exit()],
    });
    for (const off of [0, 1, 16 - SIZE_BYTES[size]]) {
      for (const imm of [0, -1, 0x12345678, -0x80000000]) programs.push({ name: `st${size} [r1+${off}], ${imm}`, insns: [st(size, 1, off, imm), mov(0, 0), exit()] });
      const [src] = registersOf(n++);
      programs.push({ name: `stx${size} [r1+${off}], r${src}`, insns: [ldx("dw", src, 1, 8), stx(size, 1, off, src), ...result(src)] });
    }
    programs.push({
      name: `stack ${size}`,
      insns: [
        ldx("dw", 3, 1, 0), ldx("dw", 4, 1, 8), stx("dw", 10, -8, 3), stx("dw", 10, -512, 4), stx(size, 10, -8, 4), st(size, 10, -512, 0x5aa5),
        ldx("dw", 0, 10, -8), ldx("dw", 5, 10, -512), alu(64, "xor", 0, { reg: 5 }), ldx(size, 6, 10, -512), alu(64, "add", 0, { reg: 6 }), exit(),
      ],
    });
    programs.push({ name: `load_acquire ${size}`, insns: [mov(4, -1), loadAcquire(size, 4, 1, 8), ...result(4)] });
    programs.push({ name: `store_release ${size}`, insns: [ldx("dw", 4, 1, 8), storeRelease(size, 1, 0, 4), ldx("dw", 0, 1, 0), exit()] });
  }
  for (const value of [0n, 1n, -1n, 0x80000000n, 0xffffffffn, 0x123456789abcdef0n, 0x8000000000000000n, 0xffffffff00000000n]) {
    programs.push({ name: `lddw 0x${BigInt.asUintN(64, value).toString(16)}`, insns: [...lddw(7, value), ...result(7)] });
  }
  programs.push(
    { name: "r2 is the length", insns: [mov(0, { reg: 2 }), exit()] },
    { name: "lddw is jumped over", insns: [mov(0, 1), ja(2), ...lddw(0, 0x99999999999n), exit()], judged: [mov(0, 1), exit()] },
    {
      name: "variable offset",
      insns: [
        ldx("b", 3, 1, 0), alu(64, "and", 3, { imm: 7 }), alu(64, "add", 3, { reg: 1 }), ldx("dw", 0, 3, 1), ldx("b", 4, 3, 8), stx("b", 3, 2, 4), exit(),
      ],
    },
    {
      name: "stack at a variable offset",
      insns: [
        ldx("b", 3, 1, 0), alu(64, "and", 3, { imm: 8 }), st("dw", 10, -8, 11), st("dw", 10, -16, 22), mov(4, { reg: 10 }),
        alu(64, "add", 4, { imm: -16 }), alu(64, "add", 4, { reg: 3 }), ldx("dw", 0, 4, 0), exit(),
      ],
    },
  );
  return programs;
}

function atomics(): ConformanceProgram[] {
  const programs: ConformanceProgram[] = [];
  for (const size of ["w", "dw"] as const) {
    for (const op of Object.keys(ATOMIC_OPS) as AtomicOp[]) {
      // r0 is what cmpxchg compares with: once equal, once not, once equal in the lower half only.
      const compared: [string, Insn[]][] = op === "cmpxchg"
        ? [["equal", [ldx("dw", 0, 1, 0)]], ["lower half equal", [ldx("w", 0, 1, 0)]], ["other", [ldx("dw", 0, 1, 8)]]]
        : [["", [mov(0, -5)]]];
      for (const [name, before] of compared) {
        for (const src of [3, 8]) {
          const insns = [...before, ldx("dw", src, 1, 8), atomic(size, op, 1, 0, src)];
          programs.push({ name: `atomic ${op} ${size} r${src} ${name}: r0`, insns: [...insns, exit()] });
          programs.push({ name: `atomic ${op} ${size} r${src} ${name}: src`, insns: [...insns, mov(0, { reg: src }), exit()] });
        }
        programs.push({
          name: `atomic ${op} ${size} ${name} on the stack`,
          insns: [
            ...before, ldx("dw", 3, 1, 0), ldx("dw", 4, 1, 8), stx("dw", 10, -16, 3), mov(5, { reg: 10 }), atomic(size, op, 5, -16, 4), ldx("dw", 6, 10, -16),
            stx("dw", 1, 0, 6), stx("dw", 1, 8, 4), exit(),
          ],
        });
      }
      if (op !== "cmpxchg") {
        programs.push({
          name: `atomic ${op} ${size} r0`, insns: [ldx("dw", 0, 1, 8), atomic(size, op, 1, 0, 0), exit()],
        });
        programs.push({
          name: `atomic ${op} ${size} at 8`, insns: [ldx("dw", 7, 1, 0), mov(2, { reg: 1 }), alu(64, "add", 2, { imm: 16 }), atomic(size, op, 2, -8, 7), mov(0, { reg: 7 }), exit()],
        });
      }
    }
  }
  return programs;
}

/** Functions: each is called with r1 to r5, has a frame of its own and gives back r6 to r9. */
function calls(): ConformanceProgram[] {
  const depth = (levels: number): Insn[] => {
    const insns: Insn[] = [ldx("dw", 1, 1, 0), call(1), exit()];
    for (let level = 1; level < levels; level++) {
      insns.push(alu(64, "add", 1, { imm: level }), stx("dw", 10, -8, 1), call(3), ldx("dw", 1, 10, -8), alu(64, "add", 0, { reg: 1 }), exit());
    }
    insns.push(mov(0, { reg: 1 }), exit());
    return insns;
  };
  return [
    { name: "local function", insns: [ldx("dw", 1, 1, 0), call(1), exit(), mov(0, { reg: 1 }), alu(64, "mul", 0, { imm: 3 }), exit()] },
    {
      name: "five arguments",
      insns: [
        ldx("dw", 6, 1, 0), ldx("dw", 7, 1, 8), mov(1, { reg: 6 }), mov(2, { reg: 7 }), mov(3, 3), mov(4, 4), mov(5, 5), call(1), exit(),
        mov(0, { reg: 1 }), alu(64, "sub", 0, { reg: 2 }), alu(64, "mul", 0, { reg: 3 }), alu(64, "add", 0, { reg: 4 }), alu(64, "xor", 0, { reg: 5 }), exit(),
      ],
    },
    {
      name: "r6 to r9 come back",
      insns: [
        ldx("dw", 6, 1, 0), ldx("dw", 7, 1, 8), mov(8, 8), mov(9, 9), call(5), alu(64, "add", 0, { reg: 6 }), alu(64, "add", 0, { reg: 7 }),
        alu(64, "mul", 0, { reg: 8 }), alu(64, "sub", 0, { reg: 9 }), exit(), mov(6, 100), mov(7, 200), mov(8, 300), mov(9, 400), mov(0, 0), exit(),
      ],
    },
    {
      name: "a frame of its own",
      insns: [
        ldx("dw", 6, 1, 0), stx("dw", 10, -8, 6), call(3), ldx("dw", 6, 10, -8), alu(64, "add", 0, { reg: 6 }), exit(), st("dw", 10, -8, 1000), ldx("dw", 0, 10, -8), exit(),
      ],
    },
    {
      name: "the caller's frame by pointer",
      insns: [
        ldx("dw", 6, 1, 0), stx("dw", 10, -8, 6), mov(1, { reg: 10 }), alu(64, "add", 1, { imm: -8 }), call(2), ldx("dw", 0, 10, -8), exit(), ldx("dw", 3, 1, 0),
        alu(64, "mul", 3, { imm: 7 }), stx("dw", 1, 0, 3), mov(0, 0), exit(),
      ],
    },
    {
      name: "a loop of calls",
      insns: [
        ldx("dw", 7, 1, 0), mov(6, 0), mov(1, { reg: 7 }), mov(2, { reg: 6 }), call(5), mov(7, { reg: 0 }), alu(64, "add", 6, { imm: 1 }),
        jump(64, "jlt", 6, { imm: 10 }, -6), mov(0, { reg: 7 }), exit(), mov(0, { reg: 1 }), alu(64, "lsh", 0, { imm: 3 }), alu(64, "xor", 0, { reg: 2 }), exit(),
      ],
    },
    {
      name: "a function with two ends",
      insns: [
        ldx("dw", 1, 1, 0), call(1), exit(), jump(64, "jsgt", 1, { imm: 0 }, 2), mov(0, -3), exit(), mov(0, { reg: 1 }), exit(),
      ],
    },
    {
      name: "a function before its caller's end",
      insns: [ldx("dw", 1, 1, 0), call(4), mov(1, { reg: 0 }), call(2), alu(64, "add", 0, { imm: 1 }), exit(), mov(0, { reg: 1 }), alu(64, "add", 0, { imm: 5 }), exit()],
    },
    ...[2, 3, 5, 7].map((levels) => ({ name: `${levels} frames deep`, insns: depth(levels) })),
    { name: "helper 5", insns: [helper(5), mov(0, 3), exit()] },
    { name: "helper 5 keeps r6 to r9", insns: [ldx("dw", 6, 1, 0), ldx("dw", 9, 1, 8), helper(5), mov(0, { reg: 6 }), alu(64, "xor", 0, { reg: 9 }), exit()] },
  ];
}

/** Programs people write: a checksum, a search, a sieve, Collatz, a hash. */
function algorithms(): ConformanceProgram[] {
  return [
    {
      name: "sum of 16-bit words, folded",
      insns: [
        mov(0, 0), mov(3, 0), mov(4, { reg: 1 }), alu(64, "add", 4, { reg: 3 }), ldx("h", 5, 4, 0), swap("be", 16, 5), alu(64, "add", 0, { reg: 5 }),
        alu(64, "add", 3, { imm: 2 }), jump(64, "jlt", 3, { imm: 16 }, -7), mov(5, { reg: 0 }), alu(64, "rsh", 5, { imm: 16 }), alu(64, "and", 0, { imm: 0xffff }),
        alu(64, "add", 0, { reg: 5 }), alu(32, "xor", 0, { imm: 0xffff }), exit(),
      ],
    },
    {
      name: "largest byte",
      insns: [
        mov(0, 0), mov(3, 0), mov(4, { reg: 1 }), alu(64, "add", 4, { reg: 3 }), ldx("b", 5, 4, 0), jump(64, "jle", 5, { reg: 0 }, 1), mov(0, { reg: 5 }),
        alu(64, "add", 3, { imm: 1 }), jump(64, "jlt", 3, { imm: 16 }, -7), exit(),
      ],
    },
    {
      name: "memory backwards",
      insns: [
        mov(3, 0), mov(4, { reg: 1 }), alu(64, "add", 4, { reg: 3 }), mov(5, 15), alu(64, "sub", 5, { reg: 3 }), mov(6, { reg: 1 }), alu(64, "add", 6, { reg: 5 }),
        ldx("b", 7, 4, 0), ldx("b", 8, 6, 0), stx("b", 4, 0, 8), stx("b", 6, 0, 7), alu(64, "add", 3, { imm: 1 }), jump(64, "jlt", 3, { imm: 8 }, -12),
        ldx("dw", 0, 1, 0), exit(),
      ],
    },
    {
      name: "FNV-1a of the memory",
      insns: [
        ...lddw(0, 0xcbf29ce484222325n), ...lddw(6, 0x100000001b3n), mov(3, 0), mov(4, { reg: 1 }), alu(64, "add", 4, { reg: 3 }), ldx("b", 5, 4, 0),
        alu(64, "xor", 0, { reg: 5 }), alu(64, "mul", 0, { reg: 6 }), alu(64, "add", 3, { imm: 1 }), jump(64, "jlt", 3, { imm: 16 }, -7), exit(),
      ],
    },
    {
      name: "Collatz, at most 12 steps",
      insns: [
        ldx("w", 3, 1, 0), alu(64, "or", 3, { imm: 1 }), mov(0, 0), jump(64, "jle", 3, { imm: 1 }, 9), mov(4, { reg: 3 }), alu(64, "and", 4, { imm: 1 }),
        jump(64, "jeq", 4, { imm: 0 }, 3), alu(64, "mul", 3, { imm: 3 }), alu(64, "add", 3, { imm: 1 }), ja(1), alu(64, "rsh", 3, { imm: 1 }),
        alu(64, "add", 0, { imm: 1 }), jump(64, "jlt", 0, { imm: 12 }, -10), exit(),
      ],
    },
    {
      name: "greatest common divisor",
      insns: [
        ldx("dw", 0, 1, 0), ldx("dw", 3, 1, 8), mov(5, 0), jump(64, "jeq", 3, { imm: 0 }, 6), mov(4, { reg: 0 }), alu(64, "mod", 4, { reg: 3 }), mov(0, { reg: 3 }),
        mov(3, { reg: 4 }), alu(64, "add", 5, { imm: 1 }), jump(64, "jlt", 5, { imm: 100 }, -7), exit(),
      ],
    },
    {
      name: "bits set",
      insns: [
        ldx("dw", 3, 1, 0), mov(0, 0), mov(5, 0), mov(4, { reg: 3 }), alu(64, "and", 4, { imm: 1 }), alu(64, "add", 0, { reg: 4 }), alu(64, "rsh", 3, { imm: 1 }),
        alu(64, "add", 5, { imm: 1 }), jump(64, "jlt", 5, { imm: 64 }, -6), exit(),
      ],
    },
  ];
}

/** xorshift32: the mixed programs stay the same ones. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Long random arithmetic over all registers, with jumps ahead and a stack slot. */
function mixed(): ConformanceProgram[] {
  return Array.from({ length: 60 }, (_, number) => {
    const next = random(0x9e3779b9 ^ (number * 0x85ebca6b + 1));
    const insns: Insn[] = [ldx("dw", 3, 1, 0), ldx("dw", 4, 1, 8)];
    for (const register of [0, 2, 5, 6, 7, 8, 9]) insns.push(...(next(2) === 0 ? lddw(register, BigInt(next(0xffffffff)) * 0x10001n * BigInt(next(0xffff))) : [mov(register, next(0xffffffff) | 0)]));
    insns.push(stx("dw", 10, -8, 3), stx("dw", 10, -16, 9));
    const registers = [0, 2, 3, 4, 5, 6, 7, 8, 9];
    const pick = (): number => registers[next(registers.length)]!;
    for (let count = 30 + next(50); count > 0; count--) {
      const width = next(2) === 0 ? 64 : 32;
      const dst = pick();
      switch (next(12)) {
        case 0:
          insns.push(movsx(width, width === 32 ? 8 : 32, dst, pick()));
          break;
        case 1:
          insns.push(swap((["le", "be", "bswap"] as const)[next(3)]!, ([16, 32, 64] as const)[next(3)]!, dst));
          break;
        case 2:
          insns.push(stx((["b", "h", "w", "dw"] as const)[next(4)]!, 10, -8 - 8 * next(2), dst));
          break;
        case 3:
          insns.push(ldx((["b", "h", "w", "dw"] as const)[next(4)]!, dst, 10, -8 - 8 * next(2)));
          break;
        case 4:
          // Over the next instruction only: never into the middle of an lddw, there is none behind.
          insns.push(jump(width, JUMPS[next(JUMPS.length)]!, dst, next(2) === 0 ? { reg: pick() } : { imm: next(0xffffffff) | 0 }, 1), neg(width, pick()));
          break;
        case 5:
          insns.push(neg(width, dst));
          break;
        case 6:
          insns.push(atomic(width === 64 ? "dw" : "w", (Object.keys(ATOMIC_OPS) as AtomicOp[])[next(9)]!, 10, -8, dst));
          break;
        default: {
          const op = OPS[next(OPS.length)]!;
          insns.push(alu(width, op, dst, next(2) === 0 ? { reg: pick() } : { imm: isShift(op) ? next(width) : (next(0xffffffff) | 1) | 0 }));
        }
      }
    }
    for (const register of registers.slice(1)) insns.push(alu(64, "xor", 0, { reg: register }), alu(64, "mul", 0, { imm: 31 }));
    return { name: `mixed ${number}`, insns: [...insns, exit()] };
  });
}

export function conformanceGroups(): ConformanceGroup[] {
  return [
    { group: "arithmetic", inputs: pairInputs, programs: arithmetic() },
    { group: "moves", inputs: numberInputs, programs: moves() },
    { group: "jumps", inputs: pairInputs, programs: jumps() },
    { group: "memory", inputs: pairInputs.slice(9), programs: memory() },
    { group: "atomics", inputs: pairInputs.slice(3), programs: atomics() },
    { group: "calls", inputs: pairInputs.slice(8, 13), programs: calls() },
    { group: "algorithms", inputs: numberInputs, programs: algorithms() },
    { group: "mixed", inputs: pairInputs.slice(8, 14), programs: mixed() },
  ];
}

export const programBytes = (insns: readonly Insn[]): Uint8Array => encodeInsns(insns);
