// XDP: 1,000 steps of arithmetic that depend on each other.
#include "bench.h"

SEC("xdp")
int xdp_alu(struct xdp_md *ctx)
{
	__u32 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 x;
	int n;

	if (data + 2 > end)
		return XDP_DROP;
	x = data[0] | 1;
#pragma clang loop unroll(disable)
	for (n = 0; n < 1000; n++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		x += n;
	}
	return x & 0xffff;
}
