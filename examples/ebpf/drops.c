/* Why do packets die? Each drop by its reason, protocol, device and addresses, to a ring buffer; and how often which reason. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Of the kernel's structures what is read here: where it stands is found out when the object is loaded. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct net_device {
	char name[16];
	int ifindex;
};
struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	__u16 network_header;
	unsigned char *head;
};
enum skb_drop_reason { SKB_NOT_DROPPED_YET };
struct trace_event_raw_kfree_skb {
	void *skbaddr;
	unsigned short protocol;
	enum skb_drop_reason reason;
};
#pragma clang attribute pop

struct drop {
	__u32 reason;
	__u32 length;
	__be32 source, destination;
	__u16 protocol;
	__u8 transport;
	char device[16];
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} by_reason SEC(".maps");

SEC("tracepoint/skb/kfree_skb")
int watch(struct trace_event_raw_kfree_skb *event)
{
	struct sk_buff *skb = BPF_CORE_READ(event, skbaddr);
	__u32 reason = BPF_CORE_READ(event, reason);
	__u64 *count, one = 1;
	struct drop *drop;
	__u8 ip[20];

	count = bpf_map_lookup_elem(&by_reason, &reason);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&by_reason, &reason, &one, BPF_NOEXIST);
	drop = bpf_ringbuf_reserve(&drops, sizeof(*drop), 0);
	if (!drop)
		return 0;
	__builtin_memset(drop, 0, sizeof(*drop));
	drop->reason = reason;
	drop->length = BPF_CORE_READ(skb, len);
	drop->protocol = BPF_CORE_READ(event, protocol);
	BPF_CORE_READ_STR_INTO(&drop->device, skb, dev, name);
	if (drop->protocol == 0x0800 && !bpf_probe_read_kernel(ip, sizeof(ip), BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header))) {
		drop->transport = ip[9];
		__builtin_memcpy(&drop->source, ip + 12, 4);
		__builtin_memcpy(&drop->destination, ip + 16, 4);
	}
	bpf_ringbuf_submit(drop, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
