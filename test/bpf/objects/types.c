/* Programs of types that have test runs beside XDP and tc. */
#include "common.h"
#include <linux/netfilter.h>

__u64 seen[16];

SEC("socket")
int filter(struct __sk_buff *skb)
{
	seen[0] = skb->len;
	seen[1] = skb->protocol;
	return skb->len > 60 ? 40 : 0;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	seen[2] = skb->len;
	seen[3] = skb->remote_port;
	return skb->len & 1;
}

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx)
{
	seen[4] = ctx->local_port;
	seen[5] = ctx->remote_ip4;
	seen[6] = ctx->protocol;
	return ctx->local_port == 80 ? SK_DROP : SK_PASS;
}

SEC("raw_tp/sys_enter")
int raw(struct bpf_raw_tracepoint_args *ctx)
{
	seen[7] = ctx->args[0];
	seen[8] = ctx->args[1];
	return ctx->args[0] + 1;
}

SEC("syscall")
int call(void *ctx)
{
	seen[10]++;
	return 42;
}

SEC("tc")
int helpers(struct __sk_buff *skb)
{
	__u8 bytes[16] = {};

	seen[11] = bpf_skb_load_bytes(skb, 14, bytes, 16);
	seen[12] = bpf_csum_diff(0, 0, (__be32 *)bytes, 16, 0);
	seen[13] = bpf_skb_change_tail(skb, skb->len + 8, 0);
	seen[14] = bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 100);
	seen[15] = skb->len;
	return TC_ACT_OK;
}

SEC("xdp")
int adjust(struct xdp_md *ctx)
{
	int a = bpf_xdp_adjust_head(ctx, -8), b = bpf_xdp_adjust_tail(ctx, 4);
	__u8 *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (p + 8 > end)
		return XDP_ABORTED;
	__builtin_memset(p, 0xab, 8);
	seen[15] = a * 10 + b;
	return XDP_TX;
}
