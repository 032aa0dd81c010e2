/* Timers, ring buffers in every way, prandom and ktime at least called. */
#include "common.h"

struct element {
	struct bpf_timer timer;
	__u64 fired;
	__u64 key;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct element);
} elements SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u64 fires, status[6];

static int fired(void *map, __u32 *key, struct element *e)
{
	__sync_fetch_and_add(&fires, 1);
	__sync_fetch_and_add(&e->fired, 1);
	return 0;
}

SEC("tc")
int arm(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct element *e = bpf_map_lookup_elem(&elements, &key);

	if (!e)
		return TC_ACT_SHOT;
	status[0] = bpf_timer_init(&e->timer, &elements, 1);
	status[1] = bpf_timer_set_callback(&e->timer, fired);
	status[2] = bpf_timer_start(&e->timer, 1000, 0);
	status[3] = bpf_timer_init(&e->timer, &elements, 1);
	return TC_ACT_OK;
}

SEC("tc")
int rings(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u64 words[3] = { 1, 2, skb->len };
	__u32 *slot;

	bpf_ringbuf_output(&ring, words, sizeof words, 0);
	slot = bpf_ringbuf_reserve(&ring, 12, 0);
	if (slot) {
		slot[0] = skb->len;
		slot[1] = 2;
		slot[2] = 3;
		bpf_ringbuf_submit(slot, BPF_RB_FORCE_WAKEUP);
	}
	slot = bpf_ringbuf_reserve(&ring, 100, 0);
	if (slot)
		bpf_ringbuf_discard(slot, 0);
	status[4] = bpf_ringbuf_reserve_dynptr(&ring, 20, 0, &ptr);
	bpf_dynptr_write(&ptr, 4, words, 8, 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	status[5] = bpf_ringbuf_query(&ring, BPF_RB_PROD_POS);
	return bpf_ktime_get_ns() ? 1 : 0;
}
