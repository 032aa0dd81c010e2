// Formatted text (kernel/bpf/helpers.c bpf_bprintf_prepare, lib/vsprintf.c): snprintf, and trace_printk into what the driver reads as trace_pipe.
//
// A record of the trace: {u64 ns, u64 pid, u64[2] comm, u32 length, the text}, padded to 8.
import { EBUSY, EINVAL, MAILBOX_BYTES } from "../../abi/core";
import { mix32 } from "../../mm/hash";
import { kmalloc } from "../../mm/slab";
import { node } from "../../mm/node";
import { bpfReadable, bpfWritable } from "../memory";
import { BpfState, bpfState } from "../run";
import { arenaBytes } from "./probe";

const MAX_ARGUMENTS: u32 = 12;
/** MAX_BPRINTF_BUF */
const LINE: u32 = 1024;
const TRACE_BYTES: u32 = 65536;
export const TRACE_RECORD: u32 = 40;

@inline function error(code: i32): u64 { return <u64><i64>-code; }

/** Where text goes: what does not fit is counted and left out. */
@unmanaged class Out {
  at: u32;
  room: u32;
  length: u32;
}

@inline function put(out: Out, c: u32): void {
  if (out.length < out.room) store<u8>(<usize>(out.at + out.length), <u8>c);
  out.length++;
}

/** snprintf(str, size, fmt, data, data_len): length with the final zero. */
export function snprintf(str: u64, size: u64, fmt: u64, data: u64, dataLength: u64): u64 {
  const bytes = <u32>dataLength, room = <u32>size;
  if ((bytes & 7) != 0 || bytes > MAX_ARGUMENTS << 3 || (bytes != 0 && data == 0)) return error(EINVAL);
  if (!bpfWritable(str, room) || !bpfReadable(data, bytes)) return 0;
  const length = format(<usize>str, room, fmt, 0xffffffff, <usize>data, bytes >>> 3);
  return length < 0 ? <u64><i64>length : <u64>(length + 1);
}

/** trace_printk(fmt, fmt_size, arg1, arg2, arg3) */
export function tracePrintk(fmt: u64, size: u64, a1: u64, a2: u64, a3: u64): u64 {
  const line = lineRoom();
  if (line == 0) return error(EBUSY);
  const args = line + <usize>LINE;
  store<u64>(args, a1);
  store<u64>(args, a2, 8);
  store<u64>(args, a3, 16);
  return printLine(line, fmt, <u32>size, args, 3);
}

/** trace_vprintk(fmt, fmt_size, data, data_len) */
export function traceVprintk(fmt: u64, size: u64, data: u64, dataLength: u64): u64 {
  const bytes = <u32>dataLength;
  if ((bytes & 7) != 0 || bytes > MAX_ARGUMENTS << 3 || (bytes != 0 && data == 0)) return error(EINVAL);
  if (!bpfReadable(data, bytes)) return 0;
  const line = lineRoom();
  return line == 0 ? error(EBUSY) : printLine(line, fmt, <u32>size, <usize>data, bytes >>> 3);
}

/** LINE bytes for a text, 24 for arguments and Out's, behind the trace's records; 0: no memory. */
function lineRoom(): usize {
  const state = bpfState();
  if (state.trace == 0) state.trace = kmalloc(TRACE_BYTES + LINE + 64);
  return state.trace == 0 ? 0 : state.trace + <usize>TRACE_BYTES;
}

function printLine(line: usize, fmt: u64, size: u32, args: usize, count: u32): u64 {
  if (size == 0 || !bpfReadable(fmt, size)) return error(EINVAL);
  if (load<u8>(<usize>fmt + <usize>(size - 1)) != 0) return error(EINVAL);
  const length = format(line, LINE, fmt, size, args, count);
  if (length < 0) return <u64><i64>length;
  record(bpfState(), line, min<u32>(<u32>length, LINE - 1));
  return <u64>length;
}

function record(state: BpfState, text: usize, length: u32): void {
  const bytes = (TRACE_RECORD + length + 7) & ~7;
  if (state.traceBytes + bytes > TRACE_BYTES) {
    state.traceLost++;
    return;
  }
  const at = state.trace + <usize>state.traceBytes;
  state.traceBytes += bytes;
  store<u64>(at, node().now);
  store<u64>(at, state.pidTgid, 8);
  store<u64>(at, state.comm, 16);
  store<u64>(at, state.comm1, 24);
  store<u32>(at, length, 32);
  memory.copy(at + <usize>TRACE_RECORD, text, <usize>length);
}

/** BPF_TRACE_PIPE: whole records into `to`; what is left waits. */
export function traceTake(to: usize): i32 {
  const state = bpfState();
  let bytes: u32 = 0;
  while (bytes < state.traceBytes) {
    const next = bytes + ((TRACE_RECORD + load<u32>(state.trace + <usize>bytes, 32) + 7) & ~7);
    if (next > MAILBOX_BYTES) break;
    bytes = next;
  }
  if (bytes == 0) return 0;
  memory.copy(to, state.trace, <usize>bytes);
  state.traceBytes -= bytes;
  memory.copy(state.trace, state.trace + <usize>bytes, <usize>state.traceBytes);
  return <i32>bytes;
}

@inline function isDigit(c: u32): bool { return c >= 0x30 && c <= 0x39; }
@inline function isSpace(c: u32): bool { return c == 0x20 || (c >= 9 && c <= 13); }
@inline function isPunct(c: u32): bool { return (c >= 0x21 && c <= 0x2f) || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e); }

// Flags of a conversion
const LEFT: u32 = 1, ZERO: u32 = 2, PLUS: u32 = 4, SPACE: u32 = 8;

/** Writes at most `room` bytes with the final zero: the length that it would have without it, or -EINVAL. */
function format(to: usize, room: u32, fmt: u64, size: u32, args: usize, count: u32): i32 {
  // Out's fields stand behind the room for a line and its arguments.
  const line = lineRoom();
  if (line == 0) return -EBUSY;
  const out = changetype<Out>(line + <usize>(LINE + 24));
  return formatTo(out, to, room, fmt, min<u32>(size, arenaBytes(fmt)), args, count);
}

function formatTo(out: Out, to: usize, room: u32, fmt: u64, size: u32, args: usize, count: u32): i32 {
  out.at = <u32>to;
  out.room = room == 0 ? 0 : room - 1;
  out.length = 0;
  let argument: u32 = 0;
  for (let i: u32 = 0; ; i++) {
    let c = charAt(fmt, size, i);
    if (c == 0) break;
    if (c >= 0x7f || (c < 0x20 && !isSpace(c))) return -EINVAL;
    if (c != 0x25) { put(out, c); continue; }
    c = charAt(fmt, size, ++i);
    if (c == 0x25) { put(out, c); continue; }
    if (argument >= count) return -EINVAL;
    let flags: u32 = 0, width: u32 = 0;
    while (c == 0x30 || c == 0x2b || c == 0x2d || c == 0x20) {
      flags |= c == 0x30 ? ZERO : c == 0x2b ? PLUS : c == 0x2d ? LEFT : SPACE;
      c = charAt(fmt, size, ++i);
    }
    while (isDigit(c)) {
      width = min<u32>(width * 10 + c - 0x30, 10000);
      c = charAt(fmt, size, ++i);
    }
    const value = load<u64>(args + (<usize>argument << 3));
    argument++;
    if (c == 0x70) { // p
      const kind = charAt(fmt, size, i + 1), more = charAt(fmt, size, i + 2);
      if ((kind == 0x6b || kind == 0x75) && more == 0x73) { // %pks, %pus
        i += 2;
        putString(out, value, width, flags);
      } else if ((kind == 0x69 || kind == 0x49) && (more == 0x34 || more == 0x36)) {
        i += 2;
        putAddress(out, value, kind == 0x69, more == 0x36);
      } else {
        const plain = kind == 0 || isSpace(kind) || isPunct(kind);
        if (!plain && kind != 0x78 && kind != 0x4b && kind != 0x73 && kind != 0x53 && kind != 0x42) return -EINVAL;
        if (!plain) i++;
        // Pointers are hashed unless asked for as they are; a symbol that nobody knows is its address.
        if (plain) putNumber(out, <u64>mix32(<u32>value), 16, 16, ZERO, false, false);
        else {
          if (kind != 0x78 && kind != 0x4b) { put(out, 0x30); put(out, 0x78); }
          putNumber(out, value, 16, kind == 0x78 || kind == 0x4b ? 16 : 0, ZERO, false, false);
        }
      }
      continue;
    }
    if (c == 0x73) { putString(out, value, width, flags); continue; }
    if (c == 0x63) {
      if (!(flags & LEFT)) for (let n: u32 = 1; n < width; n++) put(out, 0x20);
      put(out, <u32>value & 0xff);
      if (flags & LEFT) for (let n: u32 = 1; n < width; n++) put(out, 0x20);
      continue;
    }
    let long = false;
    if (c == 0x6c) { long = true; c = charAt(fmt, size, ++i); }
    if (long && c == 0x6c) c = charAt(fmt, size, ++i);
    if (c == 0x69 || c == 0x64) {
      const signed = long ? <i64>value : <i64><i32>value;
      putNumber(out, signed < 0 ? 0 - <u64>signed : <u64>signed, 10, width, flags, signed < 0, false);
    } else if (c == 0x75 || c == 0x78 || c == 0x58) {
      putNumber(out, long ? value : value & 0xffffffff, c == 0x75 ? 10 : 16, width, flags & ~(PLUS | SPACE), false, c == 0x58);
    } else return -EINVAL;
  }
  if (room != 0) store<u8>(to + <usize>min<u32>(out.length, room - 1), 0);
  return <i32>out.length;
}

@inline function charAt(fmt: u64, size: u32, i: u32): u32 {
  return i < size ? <u32>load<u8>(<usize>fmt + <usize>i) : 0;
}

function putNumber(out: Out, value: u64, base: u32, width: u32, flags: u32, negative: bool, upper: bool): void {
  let digits: u32 = 1, power: u64 = 1;
  while (value / power >= <u64>base) {
    power *= <u64>base;
    digits++;
  }
  const sign: u32 = negative ? 0x2d : flags & PLUS ? 0x2b : flags & SPACE ? 0x20 : 0;
  const length = digits + (sign != 0 ? 1 : 0);
  const padding = width > length ? width - length : 0;
  if (!(flags & (LEFT | ZERO))) for (let n: u32 = 0; n < padding; n++) put(out, 0x20);
  if (sign != 0) put(out, sign);
  if ((flags & (LEFT | ZERO)) == ZERO) for (let n: u32 = 0; n < padding; n++) put(out, 0x30);
  let rest = value;
  while (power != 0) {
    const digit = <u32>(rest / power);
    rest %= power;
    put(out, digit < 10 ? 0x30 + digit : (upper ? 0x41 : 0x61) + digit - 10);
    power /= <u64>base;
  }
  if (flags & LEFT) for (let n: u32 = 0; n < padding; n++) put(out, 0x20);
}

function putString(out: Out, at: u64, width: u32, flags: u32): void {
  const available = min<u32>(arenaBytes(at), 512);
  let length: u32 = 0;
  while (length < available && load<u8>(<usize>at + <usize>length) != 0) length++;
  if (!(flags & LEFT)) for (let n = length; n < width; n++) put(out, 0x20);
  for (let n: u32 = 0; n < length; n++) put(out, <u32>load<u8>(<usize>at + <usize>n));
  if (flags & LEFT) for (let n = length; n < width; n++) put(out, 0x20);
}

/** %pi4, %pI4, %pi6, %pI6: lower case has leading zeros (4), or no colons (6). */
function putAddress(out: Out, at: u64, bare: bool, six: bool): void {
  const bytes: u32 = six ? 16 : 4;
  const there = arenaBytes(at) >= bytes;
  for (let i: u32 = 0; i < bytes; i++) {
    const byte = there ? <u64>load<u8>(<usize>at + <usize>i) : 0;
    if (six) {
      if (i != 0 && (i & 1) == 0 && !bare) put(out, 0x3a);
      putNumber(out, byte, 16, 2, ZERO, false, false);
    } else {
      if (i != 0) put(out, 0x2e);
      putNumber(out, byte, 10, bare ? 3 : 0, ZERO, false, false);
    }
  }
}
