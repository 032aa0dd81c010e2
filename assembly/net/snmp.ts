// Counters of a namespace, as /proc/net/snmp and /proc/net/netstat count.
import { Netns } from "../layout";

/** Counts one SNMP_* (abi/net.ts). */
@inline export function snmpInc(ns: Netns, number: u32): void {
  const at = ns.snmp + (<usize>number << 3);
  store<u64>(at, load<u64>(at) + 1);
}

export function snmpAdd(ns: Netns, number: u32, by: u32): void {
  const at = ns.snmp + (<usize>number << 3);
  store<u64>(at, load<u64>(at) + <u64>by);
}
