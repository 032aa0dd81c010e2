// XDP: counts packets and bytes of every flow in a hash map.
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, struct counter);
} flows SEC(".maps");

SEC("xdp")
int xdp_flows(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct counter *counter, first = {1, end - data};
	struct flow flow;

	if (parse(data, end, &flow) < 0)
		return XDP_PASS;
	counter = bpf_map_lookup_elem(&flows, &flow);
	if (counter) {
		counter->packets++;
		counter->bytes += end - data;
	} else {
		bpf_map_update_elem(&flows, &flow, &first, BPF_NOEXIST);
	}
	return XDP_PASS;
}
