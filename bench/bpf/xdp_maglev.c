// XDP: a layer 4 load balancer with direct server return. Connections are kept in an LRU table; new ones get their backend from a
// Maglev lookup table of 65,537 entries. The packet goes out by the MAC address of the backend.
#include "bench.h"

#define RING_SIZE 65537

struct service_key {
	__be32 addr;
	__be16 port;
	__u8 proto, pad;
};

struct backend {
	__u8 mac[ETH_ALEN];
	__u16 flags;
	__be32 addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct service_key);
	__type(value, __u32);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RING_SIZE);
	__type(key, __u32);
	__type(value, __u32);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow);
	__type(value, __u32);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct counter);
} stats SEC(".maps");

static __always_inline __u32 rol(__u32 word, int by)
{
	return word << by | word >> (32 - by);
}

// Bob Jenkins' final mix, as jhash_3words.
static __always_inline __u32 hash(__u32 a, __u32 b, __u32 c)
{
	a += 0xdeadbef7;
	b += 0xdeadbef7;
	c += 0xdeadbef7;
	c ^= b; c -= rol(b, 14);
	a ^= c; a -= rol(c, 11);
	b ^= a; b -= rol(a, 25);
	c ^= b; c -= rol(b, 16);
	a ^= c; a -= rol(c, 4);
	b ^= a; b -= rol(a, 14);
	c ^= b; c -= rol(b, 24);
	return c;
}

static __always_inline int balance(struct xdp_md *ctx, __u32 salt)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct service_key key = {};
	struct backend *backend;
	struct counter *counter;
	struct ethhdr *eth = data;
	struct flow flow;
	__u32 *service, *found, index, chosen;

	if (parse(data, end, &flow) < 0)
		return XDP_PASS;
	key.addr = flow.daddr;
	key.port = flow.dport;
	key.proto = flow.proto;
	service = bpf_map_lookup_elem(&services, &key);
	if (!service)
		return XDP_PASS;
	flow.saddr ^= salt;
	found = bpf_map_lookup_elem(&connections, &flow);
	if (found) {
		chosen = *found;
	} else {
		index = hash(flow.saddr, (__u32)flow.sport << 16 | flow.dport, flow.proto) % RING_SIZE;
		found = bpf_map_lookup_elem(&ring, &index);
		if (!found)
			return XDP_DROP;
		chosen = *found;
		bpf_map_update_elem(&connections, &flow, &chosen, BPF_ANY);
	}
	backend = bpf_map_lookup_elem(&backends, &chosen);
	if (!backend || !backend->flags)
		return XDP_DROP;
	index = *service;
	counter = bpf_map_lookup_elem(&stats, &index);
	if (counter) {
		counter->packets++;
		counter->bytes += end - data;
	}
	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->mac, ETH_ALEN);
	return XDP_TX;
}

SEC("xdp")
int xdp_maglev(struct xdp_md *ctx)
{
	return balance(ctx, 0);
}

// The same with another client each time: every packet is the first of its connection.
static __u32 clients;

SEC("xdp")
int xdp_maglev_new(struct xdp_md *ctx)
{
	return balance(ctx, clients++);
}
