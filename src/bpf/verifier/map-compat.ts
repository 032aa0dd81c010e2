// Which helpers go with which maps, and which maps with which programs. kernel/bpf/verifier.c:
// check_map_func_compatibility, check_map_prog_compatibility.

import { AttachType, Helper, MapType, ProgType } from "../uapi.ts";
import { helperName } from "./disasm.ts";
import type { Env } from "./env.ts";
import type { MapSpec } from "./types.ts";

/** Helpers of map types that only some helpers take. */
const HELPERS_OF: Readonly<Record<number, readonly number[]>> = {
  [MapType.PROG_ARRAY]: [Helper.tail_call],
  [MapType.PERF_EVENT_ARRAY]: [
    Helper.perf_event_read, Helper.perf_event_output, Helper.skb_output, Helper.perf_event_read_value, Helper.xdp_output,
  ],
  [MapType.RINGBUF]: [
    Helper.ringbuf_output, Helper.ringbuf_reserve, Helper.ringbuf_query, Helper.ringbuf_reserve_dynptr,
    Helper.ringbuf_submit_dynptr, Helper.ringbuf_discard_dynptr,
  ],
  [MapType.USER_RINGBUF]: [Helper.user_ringbuf_drain],
  [MapType.STACK_TRACE]: [Helper.get_stackid],
  [MapType.CGROUP_ARRAY]: [Helper.skb_under_cgroup, Helper.current_task_under_cgroup],
  [MapType.CGROUP_STORAGE]: [Helper.get_local_storage],
  [MapType.PERCPU_CGROUP_STORAGE]: [Helper.get_local_storage],
  [MapType.DEVMAP]: [Helper.redirect_map, Helper.map_lookup_elem],
  [MapType.DEVMAP_HASH]: [Helper.redirect_map, Helper.map_lookup_elem],
  [MapType.CPUMAP]: [Helper.redirect_map],
  [MapType.XSKMAP]: [Helper.redirect_map, Helper.map_lookup_elem],
  [MapType.ARRAY_OF_MAPS]: [Helper.map_lookup_elem],
  [MapType.HASH_OF_MAPS]: [Helper.map_lookup_elem],
  [MapType.SOCKMAP]: [
    Helper.sk_redirect_map, Helper.sock_map_update, Helper.msg_redirect_map, Helper.sk_select_reuseport, Helper.map_lookup_elem,
  ],
  [MapType.SOCKHASH]: [
    Helper.sk_redirect_hash, Helper.sock_hash_update, Helper.msg_redirect_hash, Helper.sk_select_reuseport,
    Helper.map_lookup_elem,
  ],
  [MapType.REUSEPORT_SOCKARRAY]: [Helper.sk_select_reuseport],
  [MapType.QUEUE]: [Helper.map_peek_elem, Helper.map_pop_elem, Helper.map_push_elem],
  [MapType.STACK]: [Helper.map_peek_elem, Helper.map_pop_elem, Helper.map_push_elem],
  [MapType.SK_STORAGE]: [Helper.sk_storage_get, Helper.sk_storage_delete, Helper.kptr_xchg],
  [MapType.INODE_STORAGE]: [Helper.inode_storage_get, Helper.inode_storage_delete, Helper.kptr_xchg],
  [MapType.TASK_STORAGE]: [Helper.task_storage_get, Helper.task_storage_delete, Helper.kptr_xchg],
  [MapType.CGRP_STORAGE]: [Helper.cgrp_storage_get, Helper.cgrp_storage_delete, Helper.kptr_xchg],
  [MapType.BLOOM_FILTER]: [Helper.map_peek_elem, Helper.map_push_elem],
};

const RING: readonly number[] = [MapType.RINGBUF];
const PERF: readonly number[] = [MapType.PERF_EVENT_ARRAY];
const QUEUES: readonly number[] = [MapType.QUEUE, MapType.STACK];

/** Map types of helpers that only take some. */
const MAPS_OF: Readonly<Record<number, readonly number[]>> = {
  [Helper.tail_call]: [MapType.PROG_ARRAY],
  [Helper.perf_event_read]: PERF,
  [Helper.perf_event_output]: PERF,
  [Helper.perf_event_read_value]: PERF,
  [Helper.skb_output]: PERF,
  [Helper.xdp_output]: PERF,
  [Helper.ringbuf_output]: RING,
  [Helper.ringbuf_reserve]: RING,
  [Helper.ringbuf_query]: RING,
  [Helper.ringbuf_reserve_dynptr]: RING,
  [Helper.ringbuf_submit_dynptr]: RING,
  [Helper.ringbuf_discard_dynptr]: RING,
  [Helper.user_ringbuf_drain]: [MapType.USER_RINGBUF],
  [Helper.get_stackid]: [MapType.STACK_TRACE],
  [Helper.current_task_under_cgroup]: [MapType.CGROUP_ARRAY],
  [Helper.skb_under_cgroup]: [MapType.CGROUP_ARRAY],
  [Helper.redirect_map]: [MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP, MapType.XSKMAP],
  [Helper.sk_redirect_map]: [MapType.SOCKMAP],
  [Helper.msg_redirect_map]: [MapType.SOCKMAP],
  [Helper.sock_map_update]: [MapType.SOCKMAP],
  [Helper.sk_redirect_hash]: [MapType.SOCKHASH],
  [Helper.msg_redirect_hash]: [MapType.SOCKHASH],
  [Helper.sock_hash_update]: [MapType.SOCKHASH],
  [Helper.get_local_storage]: [MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE],
  [Helper.sk_select_reuseport]: [MapType.REUSEPORT_SOCKARRAY, MapType.SOCKMAP, MapType.SOCKHASH],
  [Helper.map_pop_elem]: QUEUES,
  [Helper.map_peek_elem]: [...QUEUES, MapType.BLOOM_FILTER],
  [Helper.map_push_elem]: [...QUEUES, MapType.BLOOM_FILTER],
  [Helper.map_lookup_percpu_elem]: [MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH],
  [Helper.sk_storage_get]: [MapType.SK_STORAGE],
  [Helper.sk_storage_delete]: [MapType.SK_STORAGE],
  [Helper.inode_storage_get]: [MapType.INODE_STORAGE],
  [Helper.inode_storage_delete]: [MapType.INODE_STORAGE],
  [Helper.task_storage_get]: [MapType.TASK_STORAGE],
  [Helper.task_storage_delete]: [MapType.TASK_STORAGE],
  [Helper.cgrp_storage_get]: [MapType.CGRP_STORAGE],
  [Helper.cgrp_storage_delete]: [MapType.CGRP_STORAGE],
};

/** may_update_sockmap. */
function mayUpdateSockmap(env: Env, helper: number): boolean {
  if (helper !== Helper.map_update_elem && helper !== Helper.map_delete_elem) return false;
  switch (env.spec.type) {
    case ProgType.TRACING:
      if (env.spec.attachType === AttachType.TRACE_ITER) return true;
      break;
    case ProgType.SOCK_OPS:
      if (helper === Helper.map_delete_elem) return true;
      break;
    case ProgType.SOCKET_FILTER:
    case ProgType.SCHED_CLS:
    case ProgType.SCHED_ACT:
    case ProgType.XDP:
    case ProgType.SK_REUSEPORT:
    case ProgType.FLOW_DISSECTOR:
    case ProgType.SK_LOOKUP:
      return true;
  }
  env.verbose("cannot update sockmap in this context\n");
  return false;
}

/** check_map_func_compatibility. */
export function checkMapHelper(env: Env, map: MapSpec | null, helper: number): void {
  if (map === null) return;
  const helpers = HELPERS_OF[map.type];
  const maps = MAPS_OF[helper];
  const isSockets = map.type === MapType.SOCKMAP || map.type === MapType.SOCKHASH;
  if ((helpers !== undefined && !helpers.includes(helper) && !(isSockets && mayUpdateSockmap(env, helper))) ||
    (maps !== undefined && !maps.includes(map.type))) {
    env.reject("EINVAL", `cannot pass map_type ${map.type} into func ${helperName(helper)}#${helper}`);
  }
}

const isTracing = (type: number): boolean =>
  type === ProgType.KPROBE || type === ProgType.TRACEPOINT || type === ProgType.PERF_EVENT ||
  type === ProgType.RAW_TRACEPOINT || type === ProgType.RAW_TRACEPOINT_WRITABLE;

const SLEEPABLE_MAPS: readonly number[] = [
  MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH,
  MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.RINGBUF, MapType.USER_RINGBUF, MapType.INODE_STORAGE,
  MapType.SK_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE, MapType.QUEUE, MapType.STACK, MapType.ARENA,
];

/** check_map_prog_compatibility. */
export function checkMapProgram(env: Env, map: MapSpec): void {
  const { type } = env.spec;
  const has = (kind: string): boolean => map.fields?.some((field) => field.kind === kind) ?? false;
  if (isTracing(type) && (has("list_head") || has("rb_root"))) {
    env.reject("EINVAL", "tracing progs cannot use bpf_{list_head,rb_root} yet");
  }
  if (has("spin_lock") || has("res_spin_lock")) {
    if (type === ProgType.SOCKET_FILTER) env.reject("EINVAL", "socket filter progs cannot use bpf_spin_lock yet");
    if (isTracing(type)) env.reject("EINVAL", "tracing progs cannot use bpf_spin_lock yet");
  }
  if (has("timer") && isTracing(type)) env.reject("EINVAL", "tracing progs cannot use bpf_timer yet");
  if (has("workqueue") && isTracing(type)) env.reject("EINVAL", "tracing progs cannot use bpf_wq yet");
  if (map.type === MapType.STRUCT_OPS) env.reject("EINVAL", "bpf_struct_ops map cannot be used in prog");
  if (env.sleepable && !SLEEPABLE_MAPS.includes(map.type)) {
    env.reject("EINVAL", "Sleepable programs can only use array, hash, ringbuf and local storage maps");
  }
}
