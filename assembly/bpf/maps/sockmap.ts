// Maps of sockets: sockmap and sockhash (net/core/sock_map.c), reuseport_sockarray (kernel/bpf/reuseport_array.c). Arrays are {u32 Socket}[],
// sockhash is a hash table whose values are that. Sockets leave on their own when they end.
import { E2BIG, EBADF, EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from "../../abi/core";
import { BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_SOCKMAP } from "../../abi/bpf-maps";
import { SOCK_TCP, SOCK_UDP, TCP_ESTABLISHED, TCP_LISTEN } from "../../abi/sock";
import { HANDLE_SOCKET, handleGet } from "../../mm/handle";
import { kfree, kmalloc } from "../../mm/slab";
import { Socket } from "../../sock/socket";
import { BPF_EXIST, BPF_NOEXIST } from "./flags";
import { ELEMENT_KEY, elementNext, hashFind, hashFirst, hashFree, hashInit, hashNextKey, hashRemove, hashUpdate, valueOf } from "./hash";
import { BpfMap, mapState, roundUpPow2 } from "./map";
import { storageOwnerGone } from "./storage";

/** Attached programs (BpfProg) of a sockmap or sockhash, in `map.priv`: u32 each. */
export const SOCKMAP_MSG_PARSER: u32 = 0, SOCKMAP_STREAM_PARSER: u32 = 1, SOCKMAP_STREAM_VERDICT: u32 = 2, SOCKMAP_SKB_VERDICT: u32 = 3;
const PROGS: u32 = 16;

export function sockmapInit(map: BpfMap): bool {
  map.privBytes = PROGS;
  map.priv = kmalloc(PROGS);
  if (map.priv == 0) return false;
  if (map.type == BPF_MAP_TYPE_SOCKHASH) return hashInit(map, roundUpPow2(map.maxEntries));
  if (map.maxEntries > 0x7ffffff) return false;
  map.dataBytes = map.maxEntries << 2;
  map.data = kmalloc(map.dataBytes);
  return map.data != 0;
}

/** Where the address of an attached program (a BpfProg, its reference held by whoever attached it) stands. */
export function sockmapProg(map: usize, slot: u32): usize {
  return changetype<BpfMap>(map).priv + (<usize>slot << 2);
}

/** The Socket of a key, 0: none. */
export function sockmapLookup(at: usize, key: usize): usize {
  const map = changetype<BpfMap>(at);
  if (map.type == BPF_MAP_TYPE_SOCKHASH) {
    const e = hashFind(map, key);
    return e == 0 ? 0 : <usize>load<u32>(valueOf(map, e));
  }
  return reuseportLookup(at, load<u32>(key));
}

/** The Socket of an index of a reuseport_sockarray or sockmap, 0: none. */
export function reuseportLookup(at: usize, index: u32): usize {
  const map = changetype<BpfMap>(at);
  return index < map.maxEntries ? <usize>load<u32>(map.data + (<usize>index << 2)) : 0;
}

/** sock_map_update_common, sock_hash_update_common, bpf_fd_reuseport_array_update_elem: 0 or -errno. */
export function sockmapUpdate(at: usize, key: usize, socket: usize, flags: u64): i32 {
  const map = changetype<BpfMap>(at);
  if (flags > BPF_EXIST) return -EINVAL;
  if (map.type == BPF_MAP_TYPE_SOCKHASH) {
    const e = hashFind(map, key);
    if (e != 0 && flags == BPF_NOEXIST) return -EEXIST;
    if (e == 0 && flags == BPF_EXIST) return -ENOENT;
    if (e != 0) hashRemove(map, e);
    const value = kmalloc(8);
    if (value == 0) return -ENOSPC;
    store<u32>(value, <u32>socket);
    const error = hashUpdate(map, key, value, 0, false);
    kfree(value, 8);
    return error;
  }
  const index = load<u32>(key);
  if (index >= map.maxEntries) return -E2BIG;
  const slot = map.data + (<usize>index << 2);
  if (load<u32>(slot) != 0 && flags == BPF_NOEXIST) return -EEXIST;
  if (load<u32>(slot) == 0 && flags == BPF_EXIST) return -ENOENT;
  if (load<u32>(slot) == 0) map.count++;
  store<u32>(slot, <u32>socket);
  return 0;
}

/** sock_map_update_elem_sys: the value names a socket by its handle. */
export function sockmapUpdateSys(map: BpfMap, key: usize, value: usize, flags: u64): i32 {
  if (map.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY) {
    if (flags > BPF_EXIST) return -EINVAL;
    if (load<u32>(key) >= map.maxEntries) return -E2BIG;
  }
  const handle = map.valueSize == 8 ? load<u64>(value) : <u64>load<u32>(value);
  if (handle > 0xffffffff) return -EINVAL;
  const at = handleGet(HANDLE_SOCKET, <u32>handle);
  if (at == 0) return -EBADF;
  const sk = changetype<Socket>(at);
  if (sk.kind == SOCK_TCP) {
    if (sk.state != TCP_ESTABLISHED && sk.state != TCP_LISTEN) return -EOPNOTSUPP;
  } else if (sk.kind != SOCK_UDP) return -EOPNOTSUPP;
  return sockmapUpdate(changetype<usize>(map), key, at, flags);
}

/** What a look-up of the driver sees: a number of the socket (its handle; a cookie upstream). -ENOSPC: values have no 8 bytes. */
export function sockmapLookupSys(map: BpfMap, key: usize, to: usize): i32 {
  if (map.valueSize != 8) return -ENOSPC;
  const at = sockmapLookup(changetype<usize>(map), key);
  if (at == 0) return -ENOENT;
  store<u64>(to, <u64>changetype<Socket>(at).handle);
  return 0;
}

/** 0; sockmap: -EINVAL, sockhash: -ENOENT, reuseport_sockarray: -E2BIG out of range, -ENOENT. */
export function sockmapDelete(map: BpfMap, key: usize): i32 {
  if (map.type == BPF_MAP_TYPE_SOCKHASH) {
    const e = hashFind(map, key);
    if (e == 0) return -ENOENT;
    hashRemove(map, e);
    return 0;
  }
  const index = load<u32>(key), reuseport = map.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY;
  if (index >= map.maxEntries) return reuseport ? -E2BIG : -EINVAL;
  const slot = map.data + (<usize>index << 2);
  if (load<u32>(slot) == 0) return reuseport ? -ENOENT : -EINVAL;
  store<u32>(slot, 0);
  map.count--;
  return 0;
}

/** sock_hash_get_next_key: the key's address, 0: none. */
export function sockhashNextKey(map: BpfMap, key: usize): usize {
  return hashNextKey(map, key);
}

/** A socket ends: it leaves all maps, and its storage goes with it. */
export function mapsSocketGone(socket: usize): void {
  storageOwnerGone(<u64>socket);
  for (let at = mapState().maps; at != 0; at = changetype<BpfMap>(at).next) {
    const map = changetype<BpfMap>(at);
    if (map.type == BPF_MAP_TYPE_SOCKHASH) {
      if (map.count == 0) continue;
      for (let bucket: u32 = 0; bucket <= map.bucketMask; bucket++) {
        let e = <usize>load<u32>(map.buckets + (<usize>bucket << 2));
        while (e != 0) {
          const next = elementNext(e);
          if (<usize>load<u32>(valueOf(map, e)) == socket) hashRemove(map, e);
          e = next;
        }
      }
    } else if (map.type == BPF_MAP_TYPE_SOCKMAP || map.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY) {
      if (map.count == 0) continue;
      const end = map.data + <usize>map.dataBytes;
      for (let slot = map.data; slot < end; slot += 4) {
        if (<usize>load<u32>(slot) != socket) continue;
        store<u32>(slot, 0);
        map.count--;
      }
    }
  }
}

export function sockmapFree(map: BpfMap): void {
  if (map.type == BPF_MAP_TYPE_SOCKHASH) hashFree(map);
  else if (map.data != 0) kfree(map.data, map.dataBytes);
  if (map.priv != 0) kfree(map.priv, map.privBytes);
}
