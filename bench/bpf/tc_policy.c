// tc: identities of both ends by longest prefix, then what their pair may do.
#include "bench.h"

struct prefix {
	__u32 length;
	__be32 addr;
};

struct rule {
	__u32 from, to;
	__be16 port;
	__u8 proto, pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} identities SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct rule);
	__type(value, struct counter);
} rules SEC(".maps");

SEC("tc")
int tc_policy(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct prefix prefix = {32};
	struct counter *counter;
	struct rule rule = {};
	struct flow flow;
	__u32 *identity;

	if (parse(data, end, &flow) < 0)
		return TC_ACT_SHOT;
	prefix.addr = flow.saddr;
	identity = bpf_map_lookup_elem(&identities, &prefix);
	rule.from = identity ? *identity : 0;
	prefix.addr = flow.daddr;
	identity = bpf_map_lookup_elem(&identities, &prefix);
	rule.to = identity ? *identity : 0;
	rule.port = flow.dport;
	rule.proto = flow.proto;
	counter = bpf_map_lookup_elem(&rules, &rule);
	if (!counter)
		return TC_ACT_SHOT;
	counter->packets++;
	counter->bytes += skb->len;
	skb->mark = rule.from;
	return TC_ACT_OK;
}
