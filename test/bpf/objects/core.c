/* CO-RE: fields, sizes, existence, enumerators, bit fields, flavours; kconfig and ksym externs. */
#include "common.h"
#include <bpf/bpf_core_read.h>

struct in6_addr_x;
struct sk_buff { unsigned int len; unsigned int mark; unsigned char cloned : 1; unsigned char ip_summed : 2; int no_such_field; } __attribute__((preserve_access_index));
struct sk_buff___other { unsigned int data_len; } __attribute__((preserve_access_index));
struct task_struct { int tgid; int pid; struct task_struct *group_leader; char comm[16]; } __attribute__((preserve_access_index));
struct nowhere { int x; } __attribute__((preserve_access_index));
struct sock_common { struct { unsigned int skc_daddr; unsigned int skc_rcv_saddr; }; } __attribute__((preserve_access_index));
struct sock { struct sock_common __sk_common; } __attribute__((preserve_access_index));
struct net_device { char name[16]; int ifindex; } __attribute__((preserve_access_index));
enum skb_drop_reason { SKB_DROP_REASON_NO_SOCKET = 99, SKB_DROP_REASON_NETFILTER_DROP = 98, SKB_DROP_REASON_NEVER = 97 };
enum bpf_map_type___mine { BPF_MAP_TYPE_RINGBUF___mine = 1, BPF_MAP_TYPE_NONE___mine = 2 };

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern int CONFIG_HZ __kconfig;
extern int CONFIG_NO_SUCH_OPTION __kconfig __weak;
extern enum libbpf_tristate CONFIG_NET __kconfig __weak;
extern const void no_such_symbol __ksym __weak;
extern int bpf_no_such_kfunc(int x) __ksym __weak;

__u64 v[32];

SEC("tc")
int facts(struct __sk_buff *ctx)
{
	struct sk_buff *skb = 0;
	struct task_struct *task = 0;
	struct sock *sk = 0;
	struct net_device *dev = 0;

	v[0] = bpf_core_field_exists(skb->len);
	v[1] = bpf_core_field_exists(skb->no_such_field);
	v[2] = bpf_core_field_size(task->comm);
	v[3] = bpf_core_type_exists(struct task_struct);
	v[4] = bpf_core_type_exists(struct nowhere);
	v[5] = bpf_core_type_size(struct sock_common);
	v[6] = bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NETFILTER_DROP);
	v[7] = bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NEVER);
	v[8] = bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_RINGBUF___mine);
	v[9] = bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NONE___mine);
	v[10] = (__u64)&skb->len;
	v[11] = (__u64)&((struct sk_buff___other *)0)->data_len;
	v[12] = (__u64)&task->pid;
	v[13] = (__u64)&sk->__sk_common.skc_rcv_saddr;
	v[14] = (__u64)&dev->ifindex;
	v[15] = (__u64)&task->comm[3];
	v[16] = __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_LSHIFT_U64);
	v[17] = __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_RSHIFT_U64);
	v[18] = __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_SIGNED);
	v[19] = __builtin_preserve_field_info(task->tgid, BPF_FIELD_SIGNED);
	v[20] = bpf_core_type_size(struct nowhere);
	v[21] = CONFIG_BPF_SYSCALL;
	v[22] = CONFIG_HZ;
	v[23] = CONFIG_NO_SUCH_OPTION;
	v[24] = CONFIG_NET;
	v[25] = LINUX_KERNEL_VERSION >> 8;
	v[26] = (__u64)&no_such_symbol;
	v[27] = bpf_core_type_id_local(struct nowhere) != 0;
	if (bpf_no_such_kfunc)
		v[28] = bpf_no_such_kfunc(3);
	if (bpf_core_field_exists(skb->no_such_field))
		v[29] = skb->no_such_field;
	return TC_ACT_OK;
}
