// eBPF: records of programs and runs (maps: bpf-maps.ts, attachments: bpf-attach.ts). Group 0x4nn; 0x400-0x43f stand here,
// 0x440-0x47f are the maps', 0x480-0x4bf the attachments', 0x4c0-0x4df those of tracing.
export const OP_BPF: u32 = 0x400;

/**
 * BPF_PROG_LOAD: the record BPF_LOAD_*, then {u32 address}[maps], {u32 address, u32 bytes | BPF_AREA_READONLY}[areas]; the slots (8 bytes
 * each, `lddw` resolved) are uploaded, behind them one byte of BPF_SLOT_* each where BPF_LOAD_F_SLOT_FLAGS. Returns a handle, and the answer
 * {u32 id, u32 address}; -EINVAL: answer {u32 slot, u32 reason (BPF_BAD_*), u32 detail}; -E2BIG: too many slots; -ENOMEM.
 */
export const BPF_PROG_LOAD: u32 = 0x400;
/** {u32 program}: the driver's reference ends; attachments and prog arrays keep theirs. -EBADF. */
export const BPF_PROG_FREE: u32 = 0x401;
/** {u32 program}: answer BPF_INFO_*; returns its length. */
export const BPF_PROG_INFO: u32 = 0x402;
/**
 * {u32 program, u32 bytes of memory, u32 repeat, u32 0, u64 fuel (0: BPF_FUEL)}, then the memory: runs with r1 = the memory (0 without),
 * r2 = its length. Answer: BPF_OUTCOME_*, then the memory. Returns its length.
 */
export const BPF_PROG_RUN: u32 = 0x403;
/**
 * BPF_PROG_TEST_RUN: BPF_TEST_*, then ctx_in, then data_in (uploaded when BPF_TEST_F_UPLOAD). Answer: BPF_OUTCOME_*, then ctx_out, then
 * data_out. Returns its length; -EINVAL, -EOPNOTSUPP, -ENOMEM as net/bpf/test_run.c answers.
 */
export const BPF_PROG_TEST_RUN: u32 = 0x404;
/** {u32 program, u32 table index of main (0: interpret), u32 n, {u32 slot, u32 table index}[n]}: compiled code of the program. */
export const BPF_PROG_JIT: u32 = 0x405;
/** {}: answer = what was traced since last asked: {u64 ns, u64 tgid << 32 | pid, comm[16], u32 length, u32 0, text, padded to 8}[]; returns bytes. */
export const BPF_TRACE_PIPE: u32 = 0x406;

export const BPF_LOAD_TYPE: u32 = 0;
export const BPF_LOAD_ATTACH_TYPE: u32 = 4;
export const BPF_LOAD_FLAGS: u32 = 8; // BPF_LOAD_F_*
export const BPF_LOAD_SLOTS: u32 = 12;
export const BPF_LOAD_CTX_READ: u32 = 16; // u64, bit n: word n of the context
export const BPF_LOAD_CTX_WRITTEN: u32 = 24; // u64
export const BPF_LOAD_TAG: u32 = 32; // u64
export const BPF_LOAD_NAME: u32 = 40; // BPF_OBJ_NAME_LEN bytes
export const BPF_LOAD_MAPS: u32 = 56;
export const BPF_LOAD_AREAS: u32 = 60;
export const BPF_LOAD_BYTES: u32 = 64;

/** The verifier accepted it: its accesses to memory are not checked again. */
export const BPF_LOAD_F_VERIFIED: u32 = 1;
export const BPF_LOAD_F_SLOT_FLAGS: u32 = 2;
/** The license is compatible with the GPL. */
export const BPF_LOAD_F_GPL: u32 = 4;
export const BPF_LOAD_F_SLEEPABLE: u32 = 8;
/** xdp.frags, and the like. */
export const BPF_LOAD_F_FRAGS: u32 = 16;

/** A load through a pointer that may be anything: outside of the memory it reads 0 (BPF_PROBE_MEM). */
export const BPF_SLOT_PROBE: u32 = 1;

export const BPF_AREA_READONLY: u32 = 0x80000000;

// Why a program is refused, beside the verifier's reasons: bpf_prog_load and the checks of form in kernel/bpf/verifier.c.
export const BPF_BAD_OPCODE: u32 = 1; // detail: the opcode
export const BPF_BAD_REGISTER: u32 = 2; // detail: the register
export const BPF_BAD_RESERVED: u32 = 3;
export const BPF_BAD_JUMP: u32 = 4; // detail: the slot it goes to
export const BPF_BAD_LDDW: u32 = 5;
export const BPF_BAD_END: u32 = 6; // the last instruction is neither exit nor jump
export const BPF_BAD_HELPER: u32 = 7; // detail: its number
export const BPF_BAD_KFUNC: u32 = 8; // detail: its number
export const BPF_BAD_FRAME_POINTER: u32 = 9; // r10 is read only
export const BPF_BAD_MAP: u32 = 10; // detail: position in the record

export const BPF_INFO_ID: u32 = 0;
export const BPF_INFO_TYPE: u32 = 4;
export const BPF_INFO_ATTACH_TYPE: u32 = 8;
export const BPF_INFO_FLAGS: u32 = 12;
export const BPF_INFO_TAG: u32 = 16; // u64
export const BPF_INFO_NAME: u32 = 24;
export const BPF_INFO_SLOTS: u32 = 40;
export const BPF_INFO_JITED: u32 = 44; // 1: compiled
export const BPF_INFO_RUNS: u32 = 48; // u64
export const BPF_INFO_MISSES: u32 = 56; // u64: nested too deeply
export const BPF_INFO_REFERENCES: u32 = 64;
export const BPF_INFO_ADDRESS: u32 = 68;
export const BPF_INFO_FAULTS: u32 = 72; // u64: runs that ended with a fault
export const BPF_INFO_BYTES: u32 = 80;

export const BPF_TEST_PROGRAM: u32 = 0;
export const BPF_TEST_FLAGS: u32 = 4;
export const BPF_TEST_REPEAT: u32 = 8;
export const BPF_TEST_CTX_LENGTH: u32 = 12;
export const BPF_TEST_DATA_LENGTH: u32 = 16;
export const BPF_TEST_NETNS: u32 = 20; // handle of the namespace
export const BPF_TEST_BATCH: u32 = 24;
export const BPF_TEST_CPU: u32 = 28;
export const BPF_TEST_BYTES: u32 = 32;

/** ctx_in and data_in are uploaded, not in the record. */
export const BPF_TEST_F_UPLOAD: u32 = 0x80000000;
/** BPF_F_TEST_XDP_LIVE_FRAMES */
export const BPF_TEST_F_LIVE_FRAMES: u32 = 2;

export const BPF_OUTCOME_R0: u32 = 0; // u64
export const BPF_OUTCOME_FAULT: u32 = 8; // BPF_FAULT_*
export const BPF_OUTCOME_SLOT: u32 = 12; // of the fault
export const BPF_OUTCOME_ADDRESS: u32 = 16; // u64: of the refused access
export const BPF_OUTCOME_SIZE: u32 = 24; // its bytes
export const BPF_OUTCOME_HELPER: u32 = 28; // the helper that was running, 0: none
export const BPF_OUTCOME_CTX_LENGTH: u32 = 32;
export const BPF_OUTCOME_DATA_LENGTH: u32 = 36;
export const BPF_OUTCOME_FUEL: u32 = 40; // u64 left
export const BPF_OUTCOME_BYTES: u32 = 48;

export const BPF_FAULT_NONE: u32 = 0;
/** A load outside of what the program owns. */
export const BPF_FAULT_READ: u32 = 1;
/** A store outside of what it owns, or may write. */
export const BPF_FAULT_WRITE: u32 = 2;
export const BPF_FAULT_FUEL: u32 = 3;
/** More than 8 frames, or too many by tail calls. */
export const BPF_FAULT_DEPTH: u32 = 4;
/** A helper was given memory that the program does not own, or an argument that is none. */
export const BPF_FAULT_ARGUMENT: u32 = 5;
/** callx: no helper has that number. */
export const BPF_FAULT_CALL: u32 = 6;

/** Instructions that an unverified program may run, unless told otherwise. */
export const BPF_FUEL: u32 = 10000000;
export const BPF_MAX_SLOTS: u32 = 1000000;
export const BPF_STACK: u32 = 512;
export const BPF_MAX_CALL_FRAMES: u32 = 8;
export const BPF_MAX_TAIL_CALLS: u32 = 33;

// Fields of a run that compiled code reads and writes.
export const BPF_RUN_FP: u32 = 0; // u32: r10 of the frame that is running
export const BPF_RUN_STACK_END: u32 = 4; // u32: no frame's r10 of the running program is above it
export const BPF_RUN_FUEL: u32 = 8; // i64: left
export const BPF_RUN_R0: u32 = 16; // u64: what the target of a tail call returned
export const BPF_RUN_FAULT: u32 = 24; // u32: BPF_FAULT_*
export const BPF_RUN_FAULT_SLOT: u32 = 28; // u32
export const BPF_RUN_FAULT_ADDRESS: u32 = 32; // u64
export const BPF_RUN_FAULT_SIZE: u32 = 40; // u32
export const BPF_RUN_TAIL_CALLS: u32 = 44; // u32: so far
export const BPF_RUN_PROG: u32 = 48; // u32
export const BPF_RUN_CTX: u32 = 52; // u32
export const BPF_RUN_R2: u32 = 56; // u64: r2 at the entry of main: the length of a raw program's memory
export const BPF_RUN_PACKET: u32 = 76; // u32: what an unverified program may touch of its packet: from
export const BPF_RUN_PACKET_END: u32 = 80; // u32: to
