// tc: some 4,000 instructions, for the time that loading and verifying take: 28 rules, each with its own map lookups, loads from the
// packet at variable offsets and counters.
#include "bench.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct flow);
	__type(value, struct counter);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct counter);
} seen SEC(".maps");

static __always_inline int rule(void *data, void *end, __u32 length, __u32 number, __u32 *sum)
{
	struct counter *counter, first = {1, number};
	struct iphdr *ip = data + ETH_HLEN;
	__u8 *payload;
	struct flow flow;
	__u32 index, offset;

	if (parse(data, end, &flow) < 0)
		return 0;
	if ((void *)(ip + 1) > end)
		return 0;
	flow.sport ^= number;
	flow.pad[0] = number;
	counter = bpf_map_lookup_elem(&flows, &flow);
	if (counter) {
		counter->packets++;
		counter->bytes += length;
		if (counter->packets > number * 1000)
			return 1;
	} else if (bpf_map_update_elem(&flows, &flow, &first, BPF_NOEXIST) < 0) {
		return 2;
	}
	offset = ip->tos & 31;
	payload = data + sizeof(struct ethhdr) + sizeof(struct iphdr) + offset;
	if ((void *)(payload + 16) > end)
		return 0;
	*sum += (__u32)payload[0] << 8 | payload[number & 15];
	*sum = *sum * 31 + (*sum >> 7) + number;
	switch (payload[4] & 7) {
	case 0: *sum ^= 0x1111 * number; break;
	case 1: *sum += payload[5]; break;
	case 2: *sum -= payload[6] * 3; break;
	case 3: *sum |= payload[7]; break;
	case 4: *sum &= ~(__u32)payload[8]; break;
	case 5: *sum <<= payload[9] & 3; break;
	default: *sum = ~*sum;
	}
	index = *sum & 63;
	counter = bpf_map_lookup_elem(&seen, &index);
	if (counter)
		counter->packets += *sum;
	return 0;
}

SEC("tc")
int big(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 sum = skb->len;

#define RULE(n) if (rule(data, end, skb->len, n, &sum)) return TC_ACT_SHOT;
#define FOUR(n) RULE(n) RULE(n + 1) RULE(n + 2) RULE(n + 3)
	FOUR(1) FOUR(5) FOUR(9) FOUR(13) FOUR(17) FOUR(21) FOUR(25)
	skb->mark = sum;
	return TC_ACT_OK;
}
