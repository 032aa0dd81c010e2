// Strings and numbers (kernel/bpf/helpers.c bpf_strtol, bpf_strtoul, bpf_strncmp, bpf_str*).
import { E2BIG, EFAULT, EINVAL, ENOENT, ERANGE } from "../../abi/core";
import { bpfReadable, bpfWritable } from "../memory";
import { arenaBytes } from "./probe";

@inline function error(code: i32): u64 { return <u64><i64>-code; }
@inline function isSpace(c: u32): bool { return c == 0x20 || (c >= 9 && c <= 13); }
@inline function lower(c: u32): u32 { return c >= 0x41 && c <= 0x5a ? c + 32 : c; }

/** The digit's value, 99: none. */
function digit(c: u32): u32 {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const l = lower(c);
  return l >= 0x61 && l <= 0x66 ? l - 0x61 + 10 : 99;
}

/** __bpf_strtoull and __bpf_strtoll: (buf, len, flags, res): how many bytes were read. */
export function parseNumber(buf: u64, length: u64, flags: u64, result: u64, signed: bool): u64 {
  if (!bpfReadable(buf, <u32>length) || !bpfWritable(result, 8)) return 0;
  store<u64>(<usize>result, 0);
  const base0 = <u32>flags & 0x1f;
  if (buf == 0 || length == 0) return error(EINVAL);
  if (base0 != 0 && base0 != 8 && base0 != 10 && base0 != 16) return error(EINVAL);
  if ((flags & ~<u64>0x1f) != 0) return error(EINVAL);
  const at = <usize>buf, end = <u32>min<u64>(length, 0xffffffff);
  let i: u32 = 0;
  while (i < end && isSpace(<u32>load<u8>(at + <usize>i))) i++;
  const negative = i < end && load<u8>(at + <usize>i) == 0x2d;
  if (negative) i++;
  if (i >= end) return error(EINVAL);
  // At most 63 characters of number count.
  const last = min<u32>(end, i + 63);
  let base = base0;
  const zero = load<u8>(at + <usize>i) == 0x30;
  const x = zero && i + 1 < last && lower(<u32>load<u8>(at + <usize>i, 1)) == 0x78;
  const hexa = x && i + 2 < last && digit(<u32>load<u8>(at + <usize>i, 2)) < 16;
  if (base == 0) base = hexa ? 16 : zero ? 8 : 10;
  if (base == 16 && x) i += 2;
  const first = i;
  let value: u64 = 0, over = false;
  for (; i < last; i++) {
    const d = digit(<u32>load<u8>(at + <usize>i));
    if (d >= base) break;
    if (value > (u64.MAX_VALUE - <u64>d) / <u64>base) over = true;
    value = value * <u64>base + <u64>d;
  }
  if (i == first) return error(EINVAL);
  if (over) return error(ERANGE);
  if (signed) {
    if (negative ? value > 0x8000000000000000 : value > 0x7fffffffffffffff) return error(ERANGE);
    store<u64>(<usize>result, negative ? 0 - value : value);
  } else {
    if (negative) return error(EINVAL);
    store<u64>(<usize>result, value);
  }
  return <u64>i;
}

/** strncmp(s1, size, s2) */
export function compareStrings(s1: u64, size: u64, s2: u64): u64 {
  const length = <u32>size;
  if (!bpfReadable(s1, length) || !bpfReadable(s2, 1)) return 0;
  for (let i: u32 = 0; i < length; i++) {
    const a = <u32>load<u8>(<usize>s1 + <usize>i), b = <u32>load<u8>(<usize>s2 + <usize>i);
    if (a != b) return <u64><i64>(a < b ? -1 : 1);
    if (a == 0) break;
  }
  return 0;
}

/** Most characters that the kfuncs look at (XATTR_SIZE_MAX). */
const STRING_MAX: u32 = 65536;

/** Characters up to the zero, at most `most`; negative: -EFAULT, or -E2BIG. */
function lengthOf(s: u64, most: u32): i32 {
  const available = arenaBytes(s);
  for (let i: u32 = 0; i < most; i++) {
    if (i >= available) return -EFAULT;
    if (load<u8>(<usize>s + <usize>i) == 0) return <i32>i;
  }
  return most < STRING_MAX ? <i32>most : -E2BIG;
}

@inline function at(s: u64, i: i32): u32 { return <u32>load<u8>(<usize>s + <usize>i); }

/** bpf_strcmp to bpf_strnstr, 0x10055 to 0x10060. */
export function stringKfunc(id: u32, r1: u64, r2: u64, r3: u64): u64 {
  const most = id == 0x10059 ? <u32>min<u64>(r2, <u64>STRING_MAX) : id == 0x1005c ? <u32>min<u64>(r2, <u64>STRING_MAX) : STRING_MAX;
  const n = lengthOf(r1, most);
  if (n < 0) return <u64><i64>n;
  switch (id) {
    case 0x10055: case 0x10056: { // strcmp, strcasecmp
      const m = lengthOf(r2, STRING_MAX);
      if (m < 0) return <u64><i64>m;
      for (let i = 0; i <= min<i32>(n, m); i++) {
        const a = id == 0x10056 ? lower(at(r1, i)) : at(r1, i), b = id == 0x10056 ? lower(at(r2, i)) : at(r2, i);
        if (a != b) return <u64><i64>(a < b ? -1 : 1);
      }
      return 0;
    }
    case 0x10057: case 0x10058: case 0x10059: { // strchr, strchrnul, strnchr
      const c = <u32>(id == 0x10059 ? r3 : r2) & 0xff;
      for (let i = 0; i < n; i++) if (at(r1, i) == c) return <u64><i64>i;
      if (c == 0 && (id != 0x10059 || <u32>n < most)) return <u64><i64>n;
      return id == 0x10058 ? <u64><i64>n : error(ENOENT);
    }
    case 0x1005a: { // strrchr
      const c = <u32>r2 & 0xff;
      for (let i = n; i >= 0; i--) if (at(r1, i) == c) return <u64><i64>i;
      return error(ENOENT);
    }
    case 0x1005b: case 0x1005c: return <u64><i64>n; // strlen, strnlen
    case 0x1005d: case 0x1005e: { // strspn, strcspn
      const m = lengthOf(r2, STRING_MAX);
      if (m < 0) return <u64><i64>m;
      let i = 0;
      for (; i < n; i++) {
        let found = false;
        for (let j = 0; j < m; j++) if (at(r2, j) == at(r1, i)) { found = true; break; }
        if (found == (id == 0x1005e)) break;
      }
      return <u64><i64>i;
    }
    default: { // strstr(s1, s2), strnstr(s1, s2, len)
      const m = lengthOf(r2, STRING_MAX);
      if (m < 0) return <u64><i64>m;
      const end = id == 0x10060 ? <i32>min<u64>(<u64>n, r3) : n;
      for (let i = 0; i + m <= end; i++) {
        let j = 0;
        while (j < m && at(r1, i + j) == at(r2, j)) j++;
        if (j == m) return <u64><i64>i;
      }
      return error(ENOENT);
    }
  }
}
