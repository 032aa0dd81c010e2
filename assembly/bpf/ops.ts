// The interpreter's own instructions, which decode.ts makes of a program's slots when it is loaded:
//
//   0        2      3      4                 8                        16
//  ├── op ──┼ dst ─┼ src ─┼ off or target ──┼ imm, sign-extended ────┤
//
// dst and src are offsets in the register file (register << 3); a jump's target is the address of the instruction that it goes to.
// Arithmetic is OPS_* + the operation (code >> 4), so are conditional jumps. Division and remainder with signs take 14 and 15.
export const OP_BYTES: usize = 16;

export const ALU32_K: u32 = 0;
export const ALU32_X: u32 = 16;
export const ALU64_K: u32 = 32;
export const ALU64_X: u32 = 48;
export const JMP64_K: u32 = 64;
export const JMP64_X: u32 = 80;
export const JMP32_K: u32 = 96;
export const JMP32_X: u32 = 112;
export const ADD: u32 = 0, SUB: u32 = 1, MUL: u32 = 2, DIV: u32 = 3, OR: u32 = 4, AND: u32 = 5, LSH: u32 = 6, RSH: u32 = 7, NEG: u32 = 8,
  MOD: u32 = 9, XOR: u32 = 10, MOV: u32 = 11, ARSH: u32 = 12, SDIV: u32 = 14, SMOD: u32 = 15;
export const JEQ: u32 = 1, JGT: u32 = 2, JGE: u32 = 3, JSET: u32 = 4, JNE: u32 = 5, JSGT: u32 = 6, JSGE: u32 = 7, JLT: u32 = 10,
  JLE: u32 = 11, JSLT: u32 = 12, JSLE: u32 = 13;

export const MOVSX32_8: u32 = 128, MOVSX32_16: u32 = 129, MOVSX64_8: u32 = 130, MOVSX64_16: u32 = 131, MOVSX64_32: u32 = 132;
export const ZEXT16: u32 = 133, ZEXT32: u32 = 134, SWAP16: u32 = 135, SWAP32: u32 = 136, SWAP64: u32 = 137, NOP: u32 = 138;

// Loads and stores by width: 0 one byte, 1 two, 2 four, 3 eight. Those with a C look whether the program owns the memory.
export const LDX: u32 = 140;
export const LDXS: u32 = 144;
export const LDX_PROBE: u32 = 147;
export const CLDX: u32 = 148;
export const CLDXS: u32 = 152;
export const ST: u32 = 156;
export const CST: u32 = 160;
export const STX: u32 = 164;
export const CSTX: u32 = 168;
/** imm: operation | width << 16. */
export const ATOMIC: u32 = 172;
export const CATOMIC: u32 = 173;

export const HELPER: u32 = 174;
export const LOCAL_CALL: u32 = 175;
export const CALLX: u32 = 176;
export const EXIT: u32 = 177;
/** The first of imm instructions that run one after the other. */
export const FUEL: u32 = 178;
/** imm: the offset; off: width. */
export const LD_ABS: u32 = 179;
export const LD_IND: u32 = 180;
export const TAIL_CALL: u32 = 181;
export const JA: u32 = 182;
export const MAY_GOTO: u32 = 183;
