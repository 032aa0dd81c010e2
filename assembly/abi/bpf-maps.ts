// eBPF maps: what the kernel and its driver share. See core.ts. Numbers of include/uapi/linux/bpf.h (Linux 6.18).

/**
 * {BPFMC_*}: a new map. Answers its handle, and in the mailbox BPFMA_*. Errors are those of BPF_MAP_CREATE, in its order.
 */
export const BPF_MAP_CREATE: u32 = 0x440;
/** {u32 map}: the driver lets go of the handle; the map ends with its last reference. */
export const BPF_MAP_CLOSE: u32 = 0x441;
/** {u32 map}: answer = BPFMI_*; returns bytes. */
export const BPF_MAP_INFO: u32 = 0x442;
/**
 * {u32 map, u32 0, u64 flags, key}: answer = the value (u32 id of what a slot of programs or maps holds); returns its bytes. Of a value that is
 * longer than the mailbox: {u32 address}. Keys and values of requests stand in the upload buffer where one was filled.
 */
export const BPF_MAP_LOOKUP: u32 = 0x443;
/** {u32 map, u32 0, u64 flags, key padded to 8, value}. */
export const BPF_MAP_UPDATE: u32 = 0x444;
/** {u32 map, u32 0, u64 0, key}. */
export const BPF_MAP_DELETE: u32 = 0x445;
/** {u32 map, u32 1: there is a key, u64 0, key}: answer = the next key; returns its bytes. */
export const BPF_MAP_NEXT_KEY: u32 = 0x446;
/** {u32 map, u32 0, u64 flags, key}: answer = the value that is gone now; returns bytes. */
export const BPF_MAP_LOOKUP_DELETE: u32 = 0x447;
/** {u32 map}. */
export const BPF_MAP_FREEZE: u32 = 0x448;
/**
 * {u32 map, u32 BATCH_* operation, u32 count, u32 1: `from` is given, u64 elemFlags, u64 flags, from}: answer = {u32 0 or errno, u32 count,
 * where to go on (key bytes rounded up to 8), keys, values}; returns bytes.
 */
export const BPF_MAP_BATCH: u32 = 0x449;
/** {u32 map, u32 0, u64 elemFlags, u64 flags, u32 count}: keys, then values stand in the upload buffer; answer = {u32 done}, result 0 or -errno. */
export const BPF_MAP_BATCH_UPDATE: u32 = 0x44a;
/** {u32 map, u32 0, u64 elemFlags, u64 flags, u32 count}: keys stand in the upload buffer; answer = {u32 done}, result 0 or -errno. */
export const BPF_MAP_BATCH_DELETE: u32 = 0x44b;
/** {u32 id}: a new handle of the map with this id (BPF_MAP_GET_FD_BY_ID). */
export const BPF_MAP_BY_ID: u32 = 0x44c;
/** {u32 id}: the next id above (BPF_MAP_GET_NEXT_ID); -ENOENT. */
export const BPF_MAP_NEXT_ID: u32 = 0x44d;
/**
 * {u32 map (ring buffer), u32 bytes at most}: answer = records {u32 length, u32 0, bytes padded to 8}; returns bytes. A record that is longer than the
 * mailbox is {u32 length, u32 its address}: the driver reads it and then says BPF_RINGBUF_SKIP.
 */
export const BPF_RINGBUF_CONSUME: u32 = 0x450;
/** {u32 map}: the first record is consumed. */
export const BPF_RINGBUF_SKIP: u32 = 0x451;
/** {u32 map}: answer = {u64 consumer, u64 producer, u64 pending position, u32 ring bytes, u32 woken}. */
export const BPF_RINGBUF_STATE: u32 = 0x452;
/** {u32 map (user ring buffer), u32 length, bytes (or in the upload buffer)}: a record for bpf_user_ringbuf_drain; -ENOSPC: full. */
export const BPF_USER_RINGBUF_PUT: u32 = 0x453;
/** {u32 map, u32 cpu, u32 pages}: a software event (PERF_COUNT_SW_BPF_OUTPUT) with a ring of pages goes into the slot. */
export const BPF_PERF_OPEN: u32 = 0x454;
/** {u32 map, u32 cpu}: answer = samples as BPF_RINGBUF_CONSUME, behind {u64 lost since}; returns bytes. */
export const BPF_PERF_CONSUME: u32 = 0x455;
/** Takes the maps whose consumers are to be woken: answer = u32 map ids; returns bytes. */
export const BPF_MAP_EVENTS: u32 = 0x456;
/** {u32 possible CPUs}: of this node; -EBUSY once there are maps. */
export const BPF_CPUS: u32 = 0x457;

// BPF_MAP_CREATE
export const BPFMC_TYPE: u32 = 0;
export const BPFMC_KEY_SIZE: u32 = 4;
export const BPFMC_VALUE_SIZE: u32 = 8;
export const BPFMC_MAX_ENTRIES: u32 = 12;
export const BPFMC_FLAGS: u32 = 16;
export const BPFMC_INNER: u32 = 20; // handle of a map
export const BPFMC_NUMA_NODE: u32 = 24;
export const BPFMC_IFINDEX: u32 = 28;
export const BPFMC_EXTRA: u32 = 32; // u64
export const BPFMC_NAME: u32 = 40; // 16 bytes
export const BPFMC_BTF_KEY: u32 = 56; // u32 type id, 0: no BTF
export const BPFMC_BTF_VALUE: u32 = 60;
export const BPFMC_FIELDS: u32 = 64; // u32: how many special fields follow
export const BPFMC_BYTES: u32 = 72; // then {u32 BPF_FIELD_*, u32 offset, u32 bytes, u32 more}[]
export const BPFMC_FIELD_BYTES: u32 = 16;

// Answer of BPF_MAP_CREATE and BPF_MAP_BY_ID
export const BPFMA_ADDRESS: u32 = 0; // what an lddw of this map holds
export const BPFMA_DATA: u32 = 4; // address of the values of an array, 0: none
export const BPFMA_STRIDE: u32 = 8; // bytes from one to the next
export const BPFMA_DATA_BYTES: u32 = 12;
export const BPFMA_ID: u32 = 16;
export const BPFMA_BYTES: u32 = 24;

// BPF_MAP_INFO, the fields of struct bpf_map_info that apply
export const BPFMI_TYPE: u32 = 0;
export const BPFMI_ID: u32 = 4;
export const BPFMI_KEY_SIZE: u32 = 8;
export const BPFMI_VALUE_SIZE: u32 = 12;
export const BPFMI_MAX_ENTRIES: u32 = 16;
export const BPFMI_FLAGS: u32 = 20;
export const BPFMI_NAME: u32 = 24; // 16 bytes
export const BPFMI_IFINDEX: u32 = 40;
export const BPFMI_FROZEN: u32 = 44;
export const BPFMI_EXTRA: u32 = 48; // u64
export const BPFMI_BTF_KEY: u32 = 56;
export const BPFMI_BTF_VALUE: u32 = 60;
export const BPFMI_COUNT: u32 = 64; // elements there are
export const BPFMI_REFS: u32 = 68; // references, the handle's included
export const BPFMI_BYTES: u32 = 72;

export const BATCH_LOOKUP: u32 = 0;
export const BATCH_LOOKUP_DELETE: u32 = 1;

// enum bpf_map_type
export const BPF_MAP_TYPE_HASH: u32 = 1;
export const BPF_MAP_TYPE_ARRAY: u32 = 2;
export const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
export const BPF_MAP_TYPE_PERF_EVENT_ARRAY: u32 = 4;
export const BPF_MAP_TYPE_PERCPU_HASH: u32 = 5;
export const BPF_MAP_TYPE_PERCPU_ARRAY: u32 = 6;
export const BPF_MAP_TYPE_STACK_TRACE: u32 = 7;
export const BPF_MAP_TYPE_CGROUP_ARRAY: u32 = 8;
export const BPF_MAP_TYPE_LRU_HASH: u32 = 9;
export const BPF_MAP_TYPE_LRU_PERCPU_HASH: u32 = 10;
export const BPF_MAP_TYPE_LPM_TRIE: u32 = 11;
export const BPF_MAP_TYPE_ARRAY_OF_MAPS: u32 = 12;
export const BPF_MAP_TYPE_HASH_OF_MAPS: u32 = 13;
export const BPF_MAP_TYPE_DEVMAP: u32 = 14;
export const BPF_MAP_TYPE_SOCKMAP: u32 = 15;
export const BPF_MAP_TYPE_CPUMAP: u32 = 16;
export const BPF_MAP_TYPE_XSKMAP: u32 = 17;
export const BPF_MAP_TYPE_SOCKHASH: u32 = 18;
export const BPF_MAP_TYPE_CGROUP_STORAGE: u32 = 19;
export const BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: u32 = 20;
export const BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: u32 = 21;
export const BPF_MAP_TYPE_QUEUE: u32 = 22;
export const BPF_MAP_TYPE_STACK: u32 = 23;
export const BPF_MAP_TYPE_SK_STORAGE: u32 = 24;
export const BPF_MAP_TYPE_DEVMAP_HASH: u32 = 25;
export const BPF_MAP_TYPE_STRUCT_OPS: u32 = 26;
export const BPF_MAP_TYPE_RINGBUF: u32 = 27;
export const BPF_MAP_TYPE_INODE_STORAGE: u32 = 28;
export const BPF_MAP_TYPE_TASK_STORAGE: u32 = 29;
export const BPF_MAP_TYPE_BLOOM_FILTER: u32 = 30;
export const BPF_MAP_TYPE_USER_RINGBUF: u32 = 31;
export const BPF_MAP_TYPE_CGRP_STORAGE: u32 = 32;
export const BPF_MAP_TYPE_ARENA: u32 = 33;

// BPF_MAP_CREATE flags
export const BPF_F_NO_PREALLOC: u32 = 0x1;
export const BPF_F_NO_COMMON_LRU: u32 = 0x2;
export const BPF_F_NUMA_NODE: u32 = 0x4;
export const BPF_F_RDONLY: u32 = 0x8;
export const BPF_F_WRONLY: u32 = 0x10;
export const BPF_F_STACK_BUILD_ID: u32 = 0x20;
export const BPF_F_ZERO_SEED: u32 = 0x40;
export const BPF_F_RDONLY_PROG: u32 = 0x80;
export const BPF_F_WRONLY_PROG: u32 = 0x100;
export const BPF_F_CLONE: u32 = 0x200;
export const BPF_F_MMAPABLE: u32 = 0x400;
export const BPF_F_PRESERVE_ELEMS: u32 = 0x800;
export const BPF_F_INNER_MAP: u32 = 0x1000;
export const BPF_F_LINK: u32 = 0x2000;
export const BPF_F_PATH_FD: u32 = 0x4000;
export const BPF_F_VTYPE_BTF_OBJ_FD: u32 = 0x8000;
export const BPF_F_TOKEN_FD: u32 = 0x10000;
export const BPF_F_SEGV_ON_FAULT: u32 = 0x20000;
export const BPF_F_NO_USER_CONV: u32 = 0x40000;

// Special fields of a value (enum btf_field_type of include/linux/bpf.h, by our numbers)
export const BPF_FIELD_SPIN_LOCK: u32 = 1; // 4 bytes
export const BPF_FIELD_TIMER: u32 = 2; // 16
export const BPF_FIELD_KPTR_UNREF: u32 = 3; // 8
export const BPF_FIELD_KPTR_REF: u32 = 4; // 8
export const BPF_FIELD_KPTR_PERCPU: u32 = 5; // 8
export const BPF_FIELD_LIST_HEAD: u32 = 6; // 16; more: offset of the bpf_list_node in what it holds
export const BPF_FIELD_LIST_NODE: u32 = 7; // 24
export const BPF_FIELD_RB_ROOT: u32 = 8; // 16; more: offset of the bpf_rb_node
export const BPF_FIELD_RB_NODE: u32 = 9; // 32
export const BPF_FIELD_REFCOUNT: u32 = 10; // 4
export const BPF_FIELD_WORKQUEUE: u32 = 11; // 16
export const BPF_FIELD_RES_SPIN_LOCK: u32 = 12; // 4
export const BPF_FIELD_UPTR: u32 = 13; // 8
export const BPF_FIELD_TASK_WORK: u32 = 14; // 8

// Errors that only maps answer
export const EDEADLK: i32 = 35;
export const EOVERFLOW: i32 = 75;
