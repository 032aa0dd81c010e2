/* Data sections of all sorts, string literals, static and global subprograms, weak functions. */
#include "common.h"

const volatile __u32 limit = 7;
const volatile struct { __u8 a; __u16 b; __u64 c[2]; } table = { 1, 2, { 3, 4 } };
__u64 counter = 100;
static __u32 hidden = 5;
__u32 zeroed[4];
static volatile __u64 hidden_bss;
__u32 side SEC(".data.side") = 9;
__u32 side_array[3] SEC(".data.side") = { 1, 2, 3 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} out SEC(".maps");

static __noinline void put(__u32 i, __u64 v)
{
	bpf_map_update_elem(&out, &i, &v, BPF_ANY);
}

static __noinline __u64 fib(__u32 n)
{
	__u64 a = 0, b = 1;

	for (int i = 0; i < 40; i++) {
		if (i >= n)
			break;
		__u64 c = a + b;
		a = b;
		b = c;
	}
	return a;
}

__noinline int global_sum(__u32 a, __u32 b)
{
	volatile __u32 x = a;
	return x + b + limit;
}

__weak __noinline int weak_one(__u32 a)
{
	volatile __u32 x = a * 3;
	return x;
}

SEC("xdp")
int main_prog(struct xdp_md *ctx)
{
	char text[] = "kubewire and a longer literal text";
	const char *where = "read only string";
	__u32 len = ctx->data_end - ctx->data;

	counter += len;
	hidden++;
	hidden_bss += 2;
	zeroed[len & 3] = len;
	side += limit;
	side_array[1] *= 2;
	put(0, fib(limit));
	put(1, global_sum(len, 1));
	put(2, weak_one(5));
	put(3, hidden);
	put(4, table.c[1] + table.b);
	put(5, text[len & 15]);
	put(6, bpf_strncmp(text, 8, "kubewire"));
	put(7, where[2]);
	return XDP_PASS;
}

SEC("tc")
int second(struct __sk_buff *skb)
{
	counter += 1000;
	put(0, fib(20));
	return global_sum(skb->len, 2);
}
