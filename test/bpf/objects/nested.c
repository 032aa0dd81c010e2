/* Maps of maps (declared and filled in the source), prog arrays with initial programs, tail calls, LPM, LRU, queue, stack, bloom. */
#include "common.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { [0] = &first, [2] = &second } };

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} by_hash SEC(".maps") = { .values = { [3] = &second } };

int one(struct xdp_md *ctx);
int two(struct xdp_md *ctx);
int forever(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [0] = (void *)&one, [1] = (void *)&two, [3] = (void *)&forever } };

struct lpm_key {
	__u32 prefix;
	__u8 addr[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 3);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 3);
	__type(value, __u32);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__type(value, __u32);
	__uint(map_extra, 3);
} bloom SEC(".maps");

__u64 trail[8];
__s64 results[8];

SEC("xdp")
int one(struct xdp_md *ctx)
{
	trail[1]++;
	bpf_tail_call(ctx, &jumps, 1);
	trail[7]++;
	return XDP_DROP;
}

SEC("xdp")
int two(struct xdp_md *ctx)
{
	trail[2]++;
	bpf_tail_call(ctx, &jumps, 2);
	trail[3]++;
	return XDP_TX;
}

SEC("xdp")
int forever(struct xdp_md *ctx)
{
	trail[4]++;
	bpf_tail_call(ctx, &jumps, 3);
	trail[5]++;
	return XDP_PASS;
}

static __noinline int sub(struct xdp_md *ctx)
{
	trail[6]++;
	bpf_tail_call(ctx, &jumps, 0);
	return 77;
}

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	return sub(ctx) + 10;
}

SEC("xdp")
int maps(struct xdp_md *ctx)
{
	__u8 *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 key, zero = 0, v;
	__u64 *n;
	void *in;

	if (p + 14 > end)
		return XDP_ABORTED;
	key = p[0];
	in = bpf_map_lookup_elem(&outer, &key);
	if (in) {
		n = bpf_map_lookup_elem(in, &zero);
		if (n)
			*n += p[1];
	} else {
		results[0]--;
	}
	in = bpf_map_lookup_elem(&by_hash, &key);
	if (in) {
		__u32 i = 1;
		__u64 value = key;

		bpf_map_update_elem(in, &i, &value, BPF_ANY);
	}
	struct lpm_key lk = { 32, { p[2], p[3], p[4], p[5] } };
	__u32 *route = bpf_map_lookup_elem(&routes, &lk);
	results[1] = route ? *route : -1;
	v = p[6];
	bpf_map_update_elem(&recent, &v, &key, BPF_ANY);
	results[2] = bpf_map_push_elem(&queue, &v, BPF_ANY);
	results[3] = bpf_map_push_elem(&stack, &v, BPF_EXIST);
	bpf_map_push_elem(&bloom, &v, BPF_ANY);
	results[4] = bpf_map_peek_elem(&bloom, &v);
	v = 4711;
	results[5] = bpf_map_peek_elem(&bloom, &v);
	v = 0;
	results[6] = bpf_map_peek_elem(&queue, &v) ?: v;
	return XDP_PASS;
}
