/* bpf_loop, for_each_map_elem on hash and array, bounded loops, callbacks with contexts. */
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

__u64 sum, calls, nested, early;

struct walk {
	__u64 total;
	__u32 stop;
	__u32 seen;
};

static long add(__u32 i, void *ctx)
{
	struct walk *w = ctx;

	w->total += i * i;
	w->seen++;
	return w->seen == w->stop;
}

static long each(struct bpf_map *map, __u32 *key, __u64 *value, void *ctx)
{
	struct walk *w = ctx;

	w->total += *key * 1000 + *value;
	*value += 1;
	return 0;
}

static long inner(__u32 i, void *ctx)
{
	*(__u64 *)ctx += i;
	return 0;
}

static long outer(__u32 i, void *ctx)
{
	bpf_loop(i, inner, ctx, 0);
	return 0;
}

static long drop(struct bpf_map *map, __u32 *key, __u64 *value, void *ctx)
{
	if (*value & 1)
		bpf_map_delete_elem(&table, key);
	return 0;
}

SEC("tc")
int walk(struct __sk_buff *skb)
{
	struct walk w = { .stop = 5 };
	struct walk e = {};
	__u64 n = 0;

	early = bpf_loop(100, add, &w, 0);
	sum = w.total;
	calls = bpf_for_each_map_elem(&numbers, each, &e, 0);
	calls = calls * 100 + bpf_for_each_map_elem(&table, each, &e, 0);
	bpf_loop(10, outer, &n, 0);
	nested = n;
	bpf_for_each_map_elem(&table, drop, 0, 0);
	bpf_map_update_elem(&numbers, &w.seen, &e.total, BPF_ANY);
	return bpf_loop(1 << 23, inner, &n, 1);
}

SEC("xdp")
int sums(struct xdp_md *ctx)
{
	__u8 *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 s = 0;

	for (int i = 0; i < 300; i++) {
		if (p + 1 > end)
			break;
		s += *p++;
	}
	sum = s;
	return s & 3;
}
