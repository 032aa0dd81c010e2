#!/usr/bin/python3
"""More cases for test/kernel/recorded/nft/ (see record.py): frames (bridge, arp, netdev), what sets remember, objects, times, iptables-nft.

    test/kernel/nft/record_more.py [NAME...]
"""
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import record as r
from record import A, B, C, ME, ME2, addr, fwd, icmp, tcp, udp

r.CASES.clear()
case = r.case

# Statements that remember
case('ct_count', fwd('tcp dport 80 ct count 2 counter accept\ntcp dport 80 counter drop\nct count over 3 counter'),
     [('eth0', tcp(A, 4000 + i, B, 80)) for i in range(5)] + [('eth0', tcp('10.0.1.11', 4000, B, 80))])
case('ct_count_over', fwd('udp dport 53 ct count over 2 counter drop\ncounter'), [('eth0', udp(A, 4000 + i // 2, B, 53)) for i in range(8)])
case('meter', fwd('meter m { ip saddr limit rate 1/minute burst 2 packets } counter accept\ncounter drop'),
     [('eth0', udp('10.0.1.%d' % (10 + i % 3), 4000, B, 53)) for i in range(12)])
case('meter_over', fwd('udp dport 53 meter flood { ip saddr . ip daddr limit rate over 2/hour burst 1 packets } counter drop\ncounter'),
     [('eth0', udp('10.0.1.%d' % (10 + i % 2), 4000, B if i % 3 else C, 53)) for i in range(12)])
case('meter_count', fwd('tcp dport 80 meter conns size 100 { ip saddr ct count over 2 } counter reject with tcp reset\ncounter'),
     [('eth0', tcp('10.0.1.%d' % (10 + i % 2), 4000 + i, B, 80)) for i in range(8)])
case('element_counters', '''table ip t { set s { type ipv4_addr; counter; elements = { 10.0.1.10, 10.0.1.11 counter packets 5 bytes 6 } }
 set d { type ipv4_addr; flags dynamic; size 16; counter }
 chain f { type filter hook forward priority 0; ip saddr @s counter; add @d { ip daddr }; update @d { ip saddr counter }; ip daddr @d counter } }''')
case('element_limits', '''table ip t { set s { type ipv4_addr; flags dynamic; size 16; limit rate 1/minute burst 1 packets }
 chain f { type filter hook forward priority 0; add @s { ip saddr } counter accept; counter } }''',
     [('eth0', udp('10.0.1.%d' % (10 + i % 2), 4000, B, 53)) for i in range(6)])
case('element_quota', '''table ip t { set s { type inet_service; quota 60 bytes; elements = { 53, 80 } }
 chain f { type filter hook forward priority 0; udp dport @s counter accept; udp dport @s counter; counter } }''',
     [('eth0', udp(A, 4000 + i, B, 53)) for i in range(4)])
case('element_map_counters', '''table ip t { map m { type inet_service : mark; counter; elements = { 53 : 7, 80 : 9 } }
 chain f { type filter hook forward priority 0; meta mark set udp dport map @m counter; meta mark 7 counter } }''')
case('object_maps', '''table ip t { counter c1 { } counter c2 { } quota q1 { over 60 bytes } limit l1 { rate 1/hour burst 1 packets }
 map om { type ipv4_addr : counter; elements = { 10.0.1.10 : "c1", 10.0.1.11 : "c2" } }
 chain f { type filter hook forward priority 0; counter name ip saddr map @om; counter name ip daddr map { 10.0.2.20 : "c2" }; quota name udp dport map { 53 : "q1" } counter; limit name tcp dport map { 80 : "l1" } counter } }''')
case('set_older', '''table ip t { set s { type ipv4_addr; flags dynamic,timeout; timeout 1m }
 chain f { type filter hook forward priority 0; set add ip saddr @s; set update ip daddr timeout 30s @s; ip daddr @s counter } }''')
case('dynamic_vmap', '''table ip t { map m { type ipv4_addr : verdict; elements = { 10.0.1.10 : jump x, 10.0.1.11 : drop } } chain x { counter; return }
 chain f { type filter hook forward priority 0; ip saddr vmap @m; counter } }''')
case('dynamic_map', '''table ip t { map m { type ipv4_addr : mark; flags dynamic,timeout; timeout 10s }
 chain f { type filter hook forward priority 0; udp dport 53 add @m { ip saddr : 0x7 }; meta mark set ip saddr map @m; meta mark 7 counter } }''')
case('pipapo', '''table ip t { set s { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 50-60, 192.0.2.1-192.0.2.9 . 1000-2000, 10.0.2.20 . 443 } }
 map m { type ipv4_addr . ipv4_addr : verdict; flags interval; elements = { 10.0.1.0/24 . 10.0.2.21 : drop, 10.0.1.11-10.0.1.12 . 10.0.2.0/24 : continue } }
 chain f { type filter hook forward priority 0; ip daddr . udp dport @s counter; ip daddr . tcp dport @s counter; ip saddr . ip daddr vmap @m counter; ip saddr . udp sport { 10.0.1.0/24 . 5000-5001 } counter; counter } }''')
case('interval_merge', '''table ip t { set s { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.1.0/25, 10.0.1.128/25, 10.0.2.1-10.0.2.5, 10.0.2.6 } }
 set p { type inet_service; flags interval; elements = { 1-10, 50-60, 80, 5000-5002 } }
 chain f { type filter hook forward priority 0; ip saddr @s counter; udp dport @p counter; udp sport != @p counter; tcp dport @p counter } }''')
case('concat_types', '''table inet t { set s { typeof meta iifname . ip saddr . tcp dport; elements = { "eth0" . 10.0.1.10 . 80 } }
 chain f { type filter hook forward priority 0; iifname . ip saddr . tcp dport @s counter; meta l4proto . th dport { tcp . 443, udp . 53 } counter; iifname . oifname { "eth0" . "eth1" } counter; ip saddr . ip daddr . ip protocol { 10.0.1.10 . 10.0.2.20 . icmp } counter } }''')
# Connections
case('ct_more', fwd('''ct expiration > 10s counter
ct original ip saddr 10.0.1.10 counter
ct reply ip saddr 10.0.2.20 counter
meta l4proto udp ct original proto-dst 53 counter
ip protocol tcp ct reply proto-src 80 counter
ct protocol udp counter
ct original packets > 1 counter
ct bytes > 30 counter
ct avgpkt > 30 counter
ct zone 0 counter
ct status snat counter''').replace('ct original ip saddr', 'ct original saddr').replace('ct reply ip saddr', 'ct reply saddr'), sysctl={'net.netfilter.nf_conntrack_acct': '1'})
case('ct_zone_set', '''table ip t { chain r { type filter hook prerouting priority raw; iifname "eth0" ct zone set 7; iifname "eth1" ct zone set 7 }
 chain f { type filter hook forward priority 0; ct zone 7 counter; ct state established counter } }''')
case('ct_mark_save', '''table ip t { chain p { type filter hook prerouting priority -140; meta mark set ct mark; meta mark != 0 counter accept; udp dport 53 meta mark set 0x55; tcp dport 80 ct mark set 0x1f0 }
 chain q { type filter hook postrouting priority 0; ct mark set meta mark; ct mark and 0xf0 == 0xf0 counter; ct mark set ct mark or 0x1000 } }''')
case('ct_helper_set', '''table ip t { ct helper ftp-std { type "ftp" protocol tcp; }
 chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set "ftp-std" }
 chain f { type filter hook forward priority 0; ct helper "ftp" counter; ct state related counter; counter } }''',
     [('eth0', tcp(A, 4000, B, 21)), ('eth1', tcp(B, 21, A, 4000, 'SA', 5000, 1001)), ('eth0', tcp(A, 4000, B, 21, 'A', 1001, 5001)),
      ('eth0', tcp(A, 4000, B, 21, 'AP', 1001, 5001, b'PORT 10,0,1,10,19,136\r\n')), ('eth1', tcp(B, 20, A, 5000, 'S', 77)), ('eth1', tcp(B, 20, A, 5001, 'S', 78))])
case('nat_netmap', '''table ip t { chain p { type nat hook prerouting priority dstnat; ip daddr 198.51.100.0/24 dnat ip prefix to 10.0.2.0/24 }
 chain q { type nat hook postrouting priority srcnat; oifname "eth1" ip saddr 10.0.1.0/28 snat to 10.0.2.1 } }'''.replace('dnat ip prefix', 'dnat prefix'),
     [('eth0', udp(A, 4000, '198.51.100.20', 53)), ('eth1', udp(B, 53, ME2, 4000)), ('eth0', udp('10.0.1.20', 4001, '198.51.100.21', 53))],
     routes=[{'dst': '198.51.100.0/24', 'via': '10.0.2.20', 'dev': 'eth1'}])
case('two_nat_chains', '''table ip a { chain p { type nat hook prerouting priority dstnat; udp dport 53 counter dnat to 10.0.2.21 } }
 table ip b { chain p { type nat hook prerouting priority -90; ip protocol udp counter dnat to 10.0.2.22:99 } }''', [('eth0', udp(A, 4000, B, 53)), ('eth0', udp(A, 4001, B, 54)), ('eth0', udp(A, 4000, B, 53))])
# Packets elsewhere
case('dup', '''table ip t { chain p { type filter hook prerouting priority -200; udp dport 53 dup to 10.0.2.22 counter; icmp type echo-request dup to 10.0.1.20 device "eth0" } }''')
case('netdev_ingress', '''table netdev t { chain i { type filter hook ingress device "eth0" priority 0; ip saddr 10.0.1.11 counter drop; udp dport 53 counter; meta protocol arp counter; ether type ip counter; tcp dport 22 counter drop; ip protocol icmp meta mark set 9; counter } }
 table ip t { chain f { type filter hook forward priority 0; meta mark 9 counter } }''')
case('netdev_fwd', '''table netdev t { chain i { type filter hook ingress device "eth0" priority 0; udp dport 53 counter fwd to "eth1"; tcp dport 80 counter dup to "eth1" } }''')
case('netdev_egress', '''table netdev t { chain e { type filter hook egress device "eth1" priority 0; udp dport 53 counter drop; ip ttl 62 counter; meta protocol ip counter; counter } }''')
case('netdev_sets', '''table netdev t { set bad { type ipv4_addr; flags dynamic; size 32 } set v { type ether_addr . ipv4_addr; elements = { 02:00:00:00:01:0a . 10.0.1.10 } }
 chain i { type filter hook ingress devices = { eth0, eth1 } priority -5; tcp flags & (fin|psh|urg) == fin|psh|urg add @bad { ip saddr } counter; ip saddr @bad counter drop; ether saddr . ip saddr @v counter; iifname "eth1" counter } }''')
case('inet_ingress', '''table inet t { chain i { type filter hook ingress device "eth0" priority 0; ip saddr 10.0.1.11 counter drop; meta l4proto tcp counter } chain f { type filter hook forward priority 0; counter } }''')
def arp(op, smac, sip, dmac, dip, dst='ffffffffffff'):
    return dst + smac + '0806' + '0001' + '0800' + '06' + '04' + '%04x' % op + smac + addr(sip).hex() + dmac + addr(dip).hex()
case('arp_input', '''table arp t { chain i { type filter hook input priority 0; arp operation request counter; arp saddr ip 10.0.1.11 counter drop; arp daddr ip 10.0.1.1 counter; arp saddr ether 02:00:00:00:01:0a counter; arp htype 1 arp ptype ip counter; iifname "eth0" counter; arp hlen 6 arp plen 4 counter }
 chain o { type filter hook output priority 0; arp operation reply counter; oifname "eth0" counter; arp daddr ip 10.0.1.12 counter drop } }''',
     [('eth0', arp(1, '02000000010a', A, '0' * 12, ME)), ('eth0', arp(1, '02000000010b', '10.0.1.11', '0' * 12, ME)), ('eth0', arp(1, '02000000010c', '10.0.1.12', '0' * 12, ME)),
      ('eth0', arp(2, '02000000010a', A, '020000000101', ME, '020000000101'))], keep_non_ip=True)
# The bridge
BR = {'interfaces': {'eth0': {'mac': '02:00:00:00:01:01', 'master': 'br0'}, 'eth1': {'mac': '02:00:00:00:02:01', 'master': 'br0'},
                     'eth2': {'mac': '02:00:00:00:03:01', 'master': 'br0'}, 'br0': {'kind': 'bridge', 'mac': '02:00:00:00:06:01', 'addr': ['10.0.1.1/24']}},
      'keep_non_ip': True, 'routes': [], 'neighbors': [{'ip': '10.0.1.%d' % n, 'mac': '02:aa:00:00:00:%02x' % n, 'dev': 'br0'} for n in (10, 11, 12)]}
mac = lambda n: '02aa000000%02x' % n
eth = lambda src, dst, frame, kind='0800': dst + src + kind + frame
def bridged(src, dst, sm, dm, make, *args, **kw):
    return eth(sm, dm, make(src, *args[:1], dst, *args[1:], dev='local', **kw) if make is not icmp else make(src, dst, *args, dev='local', **kw))
H10, H11, H12, BRM, ALL1 = mac(10), mac(11), mac(12), '020000000601', 'ffffffffffff'
P = lambda n: '10.0.1.%d' % n
def lan():
    return [('eth0', eth(H10, ALL1, arp(1, H10, P(10), '0' * 12, P(11))[28:], '0806')),
            ('eth1', eth(H11, H10, arp(2, H11, P(11), H10, P(10))[28:], '0806')),
            ('eth0', bridged(P(10), P(11), H10, H11, tcp, 4000, 80)), ('eth1', bridged(P(11), P(10), H11, H10, tcp, 80, 4000, 'SA', 5000, 1001)),
            ('eth0', bridged(P(10), P(11), H10, H11, udp, 5000, 53)), ('eth2', bridged(P(12), P(10), H12, H10, udp, 5001, 53)),
            ('eth0', bridged(P(10), P(1), H10, BRM, icmp)), ('eth1', bridged(P(11), P(1), H11, BRM, udp, 7, 9)),
            ('eth2', bridged(P(12), '10.0.1.255', H12, ALL1, udp, 68, 67)), ('eth0', eth(H10, H12, '11' * 50, '88b5')),
            ('local', udp(P(1), 7000, P(11), 53, dev='local')), ('eth0', eth(H10, H11, '0064' + '0800' + tcp(P(10), 4001, P(11), 80, dev='local'), '8100'))]
CH = 'table bridge t { chain c { type filter hook %s priority 0;\n%s\n} }'
case('bridge_forward', CH % ('forward', '''ip saddr 10.0.1.12 counter drop
tcp dport 80 counter
ether type arp counter
ether saddr 02:aa:00:00:00:0a counter
iifname "eth0" oifname "eth1" counter
arp operation request counter
udp dport 53 ip daddr 10.0.1.11 counter drop
meta protocol ip counter
ip ttl 63 counter
ether daddr ff:ff:ff:ff:ff:ff counter
counter'''), lan(), **BR)
case('bridge_hooks', ' '.join('table bridge t%d { chain c { type filter hook %s priority 0; counter; ip protocol udp counter; ether type arp counter; iifname "eth0" counter; oifname "eth1" counter } }' % (i, h)
                              for i, h in enumerate(['prerouting', 'input', 'forward', 'output', 'postrouting'])), lan(), **BR)
case('bridge_drop_in', CH % ('prerouting', 'ether saddr 02:aa:00:00:00:0c counter drop\nmeta pkttype broadcast counter\nmeta pkttype host counter\nmeta pkttype other counter\nip daddr 10.0.1.1 icmp type echo-request counter drop\nvlan id 100 counter'), lan(), **BR)
case('bridge_input', CH % ('input', 'udp dport 9 counter drop\nip daddr 10.0.1.255 counter drop\ncounter'), lan(), **BR)
case('bridge_output', CH % ('output', 'udp sport 7000 counter drop\nicmp type echo-reply counter\ncounter'), lan(), **BR)
case('bridge_mangle', CH % ('prerouting', 'udp dport 53 ether daddr set 02:aa:00:00:00:0c\ntcp dport 80 tcp dport set 8080\nicmp type echo-request ip dscp set cs1\nmeta mark set 7') + ' table bridge u { chain q { type filter hook postrouting priority 0; meta mark 7 counter; ip protocol tcp counter } }', lan(), **BR)
case('bridge_vlan', CH % ('forward', 'vlan id 100 counter\nvlan id 100 ip saddr 10.0.1.10 counter\nether type vlan counter\nmeta protocol vlan counter\nvlan pcp 0 counter\ntcp dport 80 counter'), lan(), **BR)
case('bridge_sets', '''table bridge t { set m { type ether_addr; elements = { 02:aa:00:00:00:0a, 02:aa:00:00:00:0c } } map v { type ether_addr : verdict; elements = { 02:aa:00:00:00:0c : drop } } set seen { type ether_addr . ipv4_addr; flags dynamic; size 64 }
 chain c { type filter hook forward priority -200; ether saddr @m counter; ether saddr vmap @v; add @seen { ether saddr . ip saddr }; ether saddr . ip saddr @seen counter; limit rate 2/hour burst 2 packets counter } }''', lan(), **BR)
case('bridge_beside_ip', CH % ('forward', 'udp dport 53 ip saddr 10.0.1.12 counter drop\ncounter') + ' table ip f { chain c { type filter hook forward priority 0; tcp dport 80 counter drop; counter } chain q { type filter hook postrouting priority 0; counter } }', lan(), **BR)
case('bridge_nat_beside', CH % ('postrouting', 'counter\nip daddr 10.0.1.12 counter') + ' table ip n { chain p { type nat hook prerouting priority dstnat; udp dport 53 dnat to 10.0.1.12 } }', lan(), **BR)
# The rest
case('statements', fwd('''ip saddr 10.0.1.10 log prefix "x" level debug counter
counter comment "with words"
ip protocol { tcp, udp } meta priority set 1:2 counter
meta length > 40 counter
meta iif "eth0" counter
meta skuid 0 counter
meta cpu 0 counter
meta random 0-4294967295 counter
rt nexthop 10.0.2.20 counter
@nh,72,8 17 counter
@th,16,16 53 counter
ip saddr and 255.255.255.254 == 10.0.1.10 counter
udp sport 5000-5002 udp dport != { 53 } counter''').replace('udp dport != { 53 } ', 'udp dport != 53 ').replace('@nh,72,8 17 counter\n@th,16,16 53 counter\n', ''))
case('skuid', '''table ip t { chain o { type filter hook output priority 0; meta skuid 0 counter; meta skuid != 0 counter; meta skgid 0 counter; meta oifname "eth1" counter } }''')
case('priorities', '''table ip a { chain c { type filter hook forward priority 10; counter; meta mark 1 counter } } table ip b { chain c { type filter hook forward priority -10; counter; meta mark set 1 } }
 table inet c { chain c { type filter hook forward priority 0; meta mark 1 counter; ip saddr 10.0.1.12 drop } chain d { type filter hook forward priority 300; policy drop; counter; ip protocol != icmp accept } }''')
case('goto_return', '''table ip t { chain z { counter; return } chain y { goto z; counter } chain x { udp dport 53 jump y; tcp dport 80 goto y; counter } chain f { type filter hook forward priority 0; policy accept; jump x; counter; ip protocol vmap { tcp : goto z, udp : jump z }; counter } }''')
case('include_define', '''define a = 10.0.1.10
define b = { 10.0.1.11, $a }
define p = 53
table inet t { chain f { type filter hook forward priority 0; ip saddr $b udp dport $p counter; ip saddr { $a, 10.0.1.12 } counter; udp dport { $p, 8080 } vmap { 53 : accept }; counter } }'''.replace('udp dport { $p, 8080 } vmap { 53 : accept }', 'udp dport vmap { $p : accept }'))
case('tproxy_nowhere', '''table ip t { chain p { type filter hook prerouting priority mangle; tcp dport 80 tproxy to :8080 counter; udp dport 53 tproxy to 10.0.1.1:99 meta mark set 1 counter } }''')

if __name__ == '__main__':
    r.main()
