/* Atomic operations of both widths, spin locks, 32-bit arithmetic at the edges. */
#include "common.h"

struct shared {
	struct bpf_spin_lock lock;
	__u32 count;
	__u64 total;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shared);
} locked SEC(".maps");

__u64 a64 = 0x1122334455667788ull, b64 = 5, c64 = ~0ull, d64 = 7;
__u32 a32 = 0xfffffff0, b32 = 1, c32 = 0x0f0f0f0f;
__u64 fetched[8];
__s64 edges[12];
__u64 x64 = 0x8000000000000000ull;
__u32 zero32;
__s32 minus = -7;

SEC("tc")
int ops(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct shared *s = bpf_map_lookup_elem(&locked, &key);

	if (!s)
		return TC_ACT_SHOT;
	bpf_spin_lock(&s->lock);
	s->count++;
	s->total += skb->len;
	bpf_spin_unlock(&s->lock);
	__sync_fetch_and_add(&a64, 0x10);
	__sync_fetch_and_add(&a32, 0x20);
#ifdef V3
	fetched[0] = __sync_fetch_and_add(&b64, 3);
	fetched[1] = __sync_fetch_and_and(&c64, 0xff00ff00ff00ff00ull);
	fetched[2] = __sync_fetch_and_or(&b64, 0x100);
	fetched[3] = __sync_fetch_and_xor(&d64, 0xf);
	fetched[4] = __sync_val_compare_and_swap(&b32, 1, 9);
	fetched[5] = __sync_val_compare_and_swap(&b32, 1, 11);
	fetched[6] = __sync_lock_test_and_set(&c32, 3);
	fetched[7] = __sync_fetch_and_add(&a32, -1);
#endif
	edges[0] = x64 / (zero32 + 3);
	edges[1] = (__u32)skb->len / (zero32 | skb->mark);
	edges[2] = (__u32)skb->len % (zero32 | skb->mark);
	edges[3] = (__s64)x64 >> (skb->len & 63);
	edges[4] = x64 >> (skb->len & 63);
	edges[5] = a32 << (skb->len & 31);
	edges[6] = minus >> 1;
	edges[7] = (__s64)minus * skb->len;
	edges[8] = bpf_htonl(skb->len) | (__u64)bpf_htons(skb->len) << 32;
	edges[9] = __builtin_bswap64(a64);
	edges[10] = -(__s64)a32;
	edges[11] = (minus < (__s32)zero32) | (((__u32)minus < zero32) << 1) | ((__s64)x64 < 0) << 2;
	return TC_ACT_OK;
}
