// What the compiler knows of helpers: how many arguments they take, which of them point to memory and how much of it is
// touched, and which come back into the program. Linux: struct bpf_func_proto of each.
import { Helper } from "../uapi.ts";

/** Arguments of helpers 0 to 89; of the others five are passed unless they are named below. */
const ARGUMENTS =
  "0242350005" + "5533002131" + "4422154353" + "3323103232" + "2203231125" + "4344243522" + "4223325454" + "4444434141" + "0242551322";
const MORE = new Map<number, number>([
  [Helper.spin_lock, 1], [Helper.spin_unlock, 1], [Helper.ringbuf_output, 4], [Helper.ringbuf_reserve, 3], [Helper.ringbuf_submit, 2],
  [Helper.ringbuf_discard, 2], [Helper.ktime_get_boot_ns, 0], [Helper.probe_read_kernel, 3], [Helper.probe_read_user, 3],
  [Helper.probe_read_kernel_str, 3], [Helper.loop, 4], [Helper.for_each_map_elem, 4], [Helper.map_lookup_percpu_elem, 3],
  [Helper.xdp_load_bytes, 4], [Helper.xdp_store_bytes, 4], [Helper.redirect_peer, 2], [Helper.redirect_neigh, 4], [Helper.jiffies64, 0],
]);

export function helperArguments(id: number): number {
  if (id >= 0 && id < ARGUMENTS.length) return ARGUMENTS.charCodeAt(id) - 48;
  return MORE.get(id) ?? 5;
}

/** Pairs of argument registers: pointer, and the number of bytes there. */
const SIZED = new Map<number, readonly (readonly [number, number])[]>([
  [Helper.probe_read, [[1, 2]]], [Helper.probe_read_kernel, [[1, 2]]], [Helper.probe_read_user, [[1, 2]]], [Helper.trace_printk, [[1, 2]]],
  [Helper.skb_store_bytes, [[3, 4]]], [Helper.skb_load_bytes, [[3, 4]]], [Helper.get_current_comm, [[1, 2]]],
  [Helper.skb_get_tunnel_key, [[2, 3]]], [Helper.skb_set_tunnel_key, [[2, 3]]], [Helper.perf_event_output, [[4, 5]]],
  [Helper.csum_diff, [[1, 2], [3, 4]]], [Helper.skb_load_bytes_relative, [[3, 4]]], [Helper.fib_lookup, [[2, 3]]],
  [Helper.sk_lookup_tcp, [[2, 3]]], [Helper.sk_lookup_udp, [[2, 3]]], [Helper.skc_lookup_tcp, [[2, 3]]], [Helper.ringbuf_output, [[2, 3]]],
  [Helper.xdp_load_bytes, [[3, 4]]], [Helper.xdp_store_bytes, [[3, 4]]], [Helper.redirect_neigh, [[2, 3]]],
]);

/** Register that holds the number of bytes behind argument `register`; 0: not told by a register. */
export function sizeRegister(id: number, register: number): number {
  return SIZED.get(id)?.find(([pointer]) => pointer === register)?.[1] ?? 0;
}

/** What argument `register` of a map helper points to. */
export function mapArgument(id: number, register: number): "key" | "value" | undefined {
  switch (id) {
    case Helper.map_lookup_elem:
    case Helper.map_delete_elem:
    case Helper.map_lookup_percpu_elem:
      return register === 2 ? "key" : undefined;
    case Helper.map_update_elem:
      return register === 2 ? "key" : register === 3 ? "value" : undefined;
    case Helper.map_push_elem:
    case Helper.map_pop_elem:
    case Helper.map_peek_elem:
      return register === 2 ? "value" : undefined;
    default:
      return undefined;
  }
}

/** Helpers that run a callback before they return, which gets one of the arguments. */
export const callsBack = (id: number): boolean =>
  id === Helper.loop || id === Helper.for_each_map_elem || id === Helper.find_vma || id === Helper.user_ringbuf_drain;
