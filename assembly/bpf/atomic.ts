// Atomic operations (RFC 9669 section 5.3, kernel/bpf/core.c atomic_alu_op). A node's programs run one at a time, so that plain reads and writes
// are atomic among them.
const R0: usize = 0;

/** The operation of the instruction at `pc` (ops.ts) on the registers at `r`. */
export function atomic(r: usize, pc: usize): void {
  const what = load<u32>(pc, 8), operation = what & 0xffff, width = what >>> 16;
  const dst = r + <usize>load<u8>(pc, 2), src = r + <usize>load<u8>(pc, 3);
  const off = load<u32>(pc, 4);
  if (operation == 0x100) { // BPF_LOAD_ACQ
    store<u64>(dst, fetch(<usize>(<u32>load<u64>(src) + off), width));
    return;
  }
  const at = <usize>(<u32>load<u64>(dst) + off);
  const operand = load<u64>(src);
  if (operation == 0x110) { // BPF_STORE_REL
    put(at, width, operand);
    return;
  }
  const old = fetch(at, width);
  let value = operand;
  switch (operation & 0xf0) {
    case 0x00: value = old + operand; break;
    case 0x40: value = old | operand; break;
    case 0x50: value = old & operand; break;
    case 0xa0: value = old ^ operand; break;
    case 0xf0: // compare and exchange, with r0
      if (old == (width == 2 ? load<u64>(r, R0) & 0xffffffff : load<u64>(r, R0))) put(at, width, operand);
      store<u64>(r, old, R0);
      return;
    default: break; // exchange
  }
  put(at, width, value);
  if (operation & 1) store<u64>(src, old);
}

function fetch(at: usize, width: u32): u64 {
  switch (width) {
    case 0: return <u64>load<u8>(at);
    case 1: return <u64>load<u16>(at);
    case 2: return <u64>load<u32>(at);
    default: return load<u64>(at);
  }
}

function put(at: usize, width: u32, value: u64): void {
  switch (width) {
    case 0: store<u8>(at, <u8>value); break;
    case 1: store<u16>(at, <u16>value); break;
    case 2: store<u32>(at, <u32>value); break;
    default: store<u64>(at, value);
  }
}
