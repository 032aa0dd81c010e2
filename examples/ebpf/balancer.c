/*
 * A load balancer at tc: TCP and UDP to the virtual address go to one of the backends, chosen by a hash of the flow, and answers come back
 * as from the virtual address. Both ways in one place: attach `forward` at ingress and `back` at egress of the clients' device.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stddef.h>

const volatile __be32 virtual_address;
const volatile __u32 backend_count = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __be32);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __be32);
	__type(value, __u64);
} sent SEC(".maps");

#define IP_SOURCE (ETH_HLEN + offsetof(struct iphdr, saddr))
#define IP_DESTINATION (ETH_HLEN + offsetof(struct iphdr, daddr))
#define IP_CHECK (ETH_HLEN + offsetof(struct iphdr, check))

struct flow {
	__be32 source;
	__be16 from, to;
	__u32 protocol;
};

/* Jenkins' one-at-a-time: the same flow goes to the same backend. */
static __always_inline __u32 hash(const struct flow *flow)
{
	const __u8 *bytes = (const __u8 *)flow;
	__u32 h = 0;

	for (int i = 0; i < (int)sizeof(*flow); i++) {
		h += bytes[i];
		h += h << 10;
		h ^= h >> 6;
	}
	h += h << 3;
	h ^= h >> 11;
	return h + (h << 15);
}

/* The address at `where` becomes `address`, in the checksums, too. */
static __always_inline int rewrite(struct __sk_buff *skb, int where, __be32 was, __be32 address, __u8 protocol, int transport)
{
	int check = protocol == IPPROTO_TCP ? transport + 16 : transport + 6;
	__u64 flags = BPF_F_PSEUDO_HDR | sizeof(address) | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);

	if (bpf_l4_csum_replace(skb, check, was, address, flags) || bpf_l3_csum_replace(skb, IP_CHECK, was, address, sizeof(address)))
		return TC_ACT_SHOT;
	return bpf_skb_store_bytes(skb, where, &address, sizeof(address), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

static __always_inline int header(struct __sk_buff *skb, struct iphdr *ip)
{
	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(*ip)))
		return 0;
	return ip->ihl == 5 && (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP);
}

SEC("tcx/ingress")
int forward(struct __sk_buff *skb)
{
	struct flow flow = {};
	struct iphdr ip;
	__be32 *backend;
	__u64 *count, one = 1;
	__u32 slot;

	if (!header(skb, &ip) || ip.daddr != virtual_address)
		return TC_ACT_OK;
	flow.source = ip.saddr;
	flow.protocol = ip.protocol;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(ip), &flow.from, 4))
		return TC_ACT_SHOT;
	slot = hash(&flow) % (backend_count ? backend_count : 1);
	backend = bpf_map_lookup_elem(&backends, &slot);
	if (!backend || !*backend)
		return TC_ACT_SHOT;
	count = bpf_map_lookup_elem(&sent, backend);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&sent, backend, &one, BPF_NOEXIST);
	return rewrite(skb, IP_DESTINATION, ip.daddr, *backend, ip.protocol, ETH_HLEN + sizeof(ip));
}

SEC("tcx/egress")
int back(struct __sk_buff *skb)
{
	struct iphdr ip;

	if (!header(skb, &ip) || !bpf_map_lookup_elem(&sent, &ip.saddr))
		return TC_ACT_OK;
	return rewrite(skb, IP_SOURCE, ip.saddr, virtual_address, ip.protocol, ETH_HLEN + sizeof(ip));
}

char _license[] SEC("license") = "GPL";
