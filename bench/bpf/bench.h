// What the programs of the bench need of bpf_helpers.h and of the protocols' headers: built by Debian's clang without libbpf.
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define bpf_htons(x) __builtin_bswap16(x)
#define bpf_ntohs(x) __builtin_bswap16(x)

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;

struct flow {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u8 proto, pad[3];
};

struct counter {
	__u64 packets, bytes;
};

// A TCP or UDP packet of IPv4 without options of IP, behind at most one VLAN tag.
static __always_inline int parse(void *data, void *end, struct flow *flow)
{
	struct ethhdr *eth = data;
	__be16 proto;
	struct iphdr *ip;
	__be16 *ports;

	if ((void *)(eth + 1) > end)
		return -1;
	proto = eth->h_proto;
	ip = (void *)(eth + 1);
	if (proto == bpf_htons(ETH_P_8021Q)) {
		__be16 *tag = (void *)ip;

		if ((void *)(tag + 2) > end)
			return -1;
		proto = tag[1];
		ip = (void *)(tag + 2);
	}
	if (proto != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > end)
		return -1;
	if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
		return -1;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return -1;
	ports = (void *)(ip + 1);
	if ((void *)(ports + 2) > end)
		return -1;
	flow->saddr = ip->saddr;
	flow->daddr = ip->daddr;
	flow->sport = ports[0];
	flow->dport = ports[1];
	flow->proto = ip->protocol;
	flow->pad[0] = flow->pad[1] = flow->pad[2] = 0;
	return 0;
}

char _license[] SEC("license") = "GPL";
