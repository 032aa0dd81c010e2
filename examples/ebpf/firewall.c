/* An XDP firewall: what comes from a denied prefix, or to a TCP or UDP port that is not open, is dropped before the kernel sees it. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct prefix {
	__u32 length;
	__be32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct prefix);
	__type(value, __u64);
} denied SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u16);
	__type(value, __u8);
} open_ports SEC(".maps");

/* Whether packets to ports that are not open are let through all the same. */
const volatile __u8 permissive = 0;
__u64 dropped, passed;

struct ports {
	__be16 source, destination;
};

static __always_inline int verdict(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct prefix source;
	struct ports *ports;
	__u64 *hits;
	__u16 port;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	source.length = 32;
	source.address = ip->saddr;
	hits = bpf_map_lookup_elem(&denied, &source);
	if (hits) {
		__sync_fetch_and_add(hits, 1);
		return XDP_DROP;
	}
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	/* Later fragments have no ports; the first one was judged. */
	if (ip->frag_off & bpf_htons(0x1fff))
		return XDP_PASS;
	if (ip->ihl < 5)
		return XDP_DROP;
	ports = (void *)ip + ip->ihl * 4;
	if ((void *)(ports + 1) > end)
		return XDP_DROP;
	port = bpf_ntohs(ports->destination);
	if (permissive || bpf_map_lookup_elem(&open_ports, &port))
		return XDP_PASS;
	return XDP_DROP;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	int action = verdict(ctx);

	__sync_fetch_and_add(action == XDP_DROP ? &dropped : &passed, 1);
	return action;
}

char _license[] SEC("license") = "GPL";
