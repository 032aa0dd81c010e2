/**
 * Cluster IPs and node ports. Follows pkg/registry/core/service/ipallocator (bands: the lower part of the range for
 * addresses asked for by number, the rest first for dynamic ones) and portallocator.
 */
import { formatIPv4, parseCIDR, parseIPv4 } from "../../apimachinery/validation.ts";
import type { Random } from "../../time/clock.ts";

/** Why an allocation failed, in upstream's words. */
export class AllocationError extends Error {}

interface Pool {
  /** Takes this very number. Throws {@link AllocationError}. */
  take(value: number): void;
  /** Any free number, from the dynamic band first. Throws {@link AllocationError}. */
  next(): number;
  release(value: number): void;
}

/** Numbers 0…size-1; the first `staticSize` of them are given out dynamically only when the others are used up. */
function createPool(size: number, staticSize: number, random: Random, full: string): Pool {
  const used = new Set<number>();
  const scan = (from: number, count: number): number | undefined => {
    if (count <= 0) return undefined;
    const start = random.below(count);
    for (let i = 0; i < count; i++) {
      const candidate = from + ((start + i) % count);
      if (!used.has(candidate)) return candidate;
    }
    return undefined;
  };
  return {
    take(value) {
      used.add(value);
    },
    next() {
      const value = scan(staticSize, size - staticSize) ?? scan(0, staticSize);
      if (value === undefined) throw new AllocationError(full);
      used.add(value);
      return value;
    },
    release(value) {
      used.delete(value);
    },
  };
}

export interface IPAllocator {
  readonly cidr: string;
  /** Claims this address. Throws {@link AllocationError}. */
  allocate(ip: string): void;
  allocateNext(): string;
  release(ip: string): void;
}

/** How many addresses of a range are kept for static use. Follows calculateRangeOffset. */
function staticBand(size: number): number {
  const MIN = 16;
  const MAX = 256;
  if (size < 2 * MIN) return 0;
  return Math.max(MIN, Math.min(MAX, Math.floor(size / 16)));
}

/** The addresses of an IPv4 range, without its network and broadcast address. */
export function createIPAllocator(cidr: string, random: Random): IPAllocator {
  const range = parseCIDR(cidr);
  if (range === undefined || range.bits > 30) throw new Error(`invalid service CIDR ${cidr}`);
  const size = 2 ** (32 - range.bits) - 2;
  const first = range.address + 1;
  const taken = new Set<number>();
  const pool = createPool(size, staticBand(size + 2), random, "range is full");
  return {
    cidr,
    allocate(ip) {
      const value = parseIPv4(ip);
      if (value === undefined || value < first || value >= first + size)
        throw new AllocationError(`the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${cidr}`);
      if (taken.has(value)) throw new AllocationError("provided IP is already allocated");
      taken.add(value);
      pool.take(value - first);
    },
    allocateNext() {
      const value = first + pool.next();
      taken.add(value);
      return formatIPv4(value);
    },
    release(ip) {
      const value = parseIPv4(ip);
      if (value === undefined || !taken.delete(value)) return;
      pool.release(value - first);
    },
  };
}

export interface PortAllocator {
  /** The first number behind the range. */
  readonly end: number;
  allocate(port: number): void;
  allocateNext(): number;
  release(port: number): void;
}

/** Node ports of `base`…`base + size - 1`. */
export function createPortAllocator(base: number, size: number, random: Random): PortAllocator {
  const taken = new Set<number>();
  const pool = createPool(size, size < 32 ? 0 : Math.max(16, Math.min(128, Math.floor(size / 32))), random, "range is full");
  return {
    end: base + size,
    allocate(port) {
      if (port < base || port >= base + size)
        throw new AllocationError(`provided port is not in the valid range. The range of valid ports is ${base}-${base + size - 1}`);
      if (taken.has(port)) throw new AllocationError("provided port is already allocated");
      taken.add(port);
      pool.take(port - base);
    },
    allocateNext() {
      const port = base + pool.next();
      taken.add(port);
      return port;
    },
    release(port) {
      if (taken.delete(port)) pool.release(port - base);
    },
  };
}
