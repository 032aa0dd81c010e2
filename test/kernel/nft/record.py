#!/usr/bin/python3
"""Records test/kernel/recorded/nft/: cases of the netfilter oracle with one more key, `nft` (text for `nft -f -`, run after
iptables-restore), and what the kernel of this machine answered, with `nft` = the lines of `nft list ruleset` at the end.

    test/kernel/nft/record.py [NAME...]      # root; needs nftables, iptables, iproute2
"""
import importlib.util, json, os, re, struct, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
SHARED = os.path.join(os.environ.get('KUBEWIRE_SHARED', os.path.join(ROOT, '..', 'shared')), 'oracle', 'netfilter_oracle.py')
spec = importlib.util.spec_from_file_location('netfilter_oracle', SHARED)
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)


class NftOracle(base.Oracle):
    def build(self, case):
        super().build(case)
        if case.get('nft'):
            self.router.run(['nft', '-f', '-'], case['nft'])

    def collect(self, case, trace, hits):
        res = super().collect(case, trace, hits)
        if case.get('nft'):
            text = self.router.run(['nft', 'list', 'ruleset'])
            res['nft'] = re.sub(r' (?:expires|used) \w+', '', text).rstrip().split('\n')
        return res


def csum(b):
    b += b'\0' * (len(b) & 1)
    s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


MACS = {'eth0': '020000000101', 'eth1': '020000000201'}
addr = lambda a: bytes(int(x) for x in a.split('.'))
ident = [100]


def packet(src, dst, proto, l4, dev='eth0', tos=0, ttl=63, frag=0):
    ident[0] += 1
    h = struct.pack('!BBHHHBBH4s4s', 0x45, tos, 20 + len(l4), ident[0], frag, ttl, proto, 0, addr(src), addr(dst))
    h = h[:10] + struct.pack('!H', csum(h)) + h[12:]
    if dev == 'local':
        return (h + l4).hex()
    return MACS[dev] + '02000000%02x0a' % (1 if dev == 'eth0' else 2) + '0800' + (h + l4).hex()


def pseudo(src, dst, proto, l4):
    return csum(addr(src) + addr(dst) + struct.pack('!BBH', 0, proto, len(l4)) + l4)


def tcp(src, sport, dst, dport, flags='S', seq=1000, ack=0, data=b'', options=b'', **kw):
    bits = sum(1 << 'FSRPAU'.index(f) for f in flags)
    h = struct.pack('!HHIIBBHHH', sport, dport, seq, ack, (20 + len(options)) // 4 << 4, bits, 65535, 0, 0) + options + data
    h = h[:16] + struct.pack('!H', pseudo(src, dst, 6, h)) + h[18:]
    return packet(src, dst, 6, h, **kw)


def udp(src, sport, dst, dport, data=b'payload', **kw):
    h = struct.pack('!HHHH', sport, dport, 8 + len(data), 0) + data
    h = h[:6] + struct.pack('!H', pseudo(src, dst, 17, h) or 0xffff) + h[8:]
    return packet(src, dst, 17, h, **kw)


def icmp(src, dst, kind=8, code=0, ident_=7, seq=1, **kw):
    h = struct.pack('!BBHHH', kind, code, 0, ident_, seq) + b'abcdefgh'
    return packet(src, dst, 1, h[:2] + struct.pack('!H', csum(h)) + h[4:], **kw)


A, B, C = '10.0.1.10', '10.0.2.20', '10.0.2.21'
ME, ME2 = '10.0.1.1', '10.0.2.1'
BASE = {
    'interfaces': {'eth0': {'mac': '02:00:00:00:01:01', 'addr': ['10.0.1.1/24']}, 'eth1': {'mac': '02:00:00:00:02:01', 'addr': ['10.0.2.1/24']}},
    'neighbors': [{'ip': '10.0.%d.%d' % (n, h), 'mac': '02:00:00:00:%02x:%02x' % (n, h), 'dev': 'eth%d' % (n - 1)}
                  for n in (1, 2) for h in (10, 11, 12, 20, 21, 22)],
    'routes': [{'dst': '198.51.100.0/24', 'via': '10.0.1.10', 'dev': 'eth0'}, {'dst': '192.0.2.0/24', 'via': '10.0.2.20', 'dev': 'eth1'}],
}
T = lambda p: p  # a frame as it is
FORWARD = 'table ip t { chain f { type filter hook forward priority 0; policy %s;\n%s\n} }'
ALL = 'table inet t { chain p { type filter hook %s priority %s;\n%s\n} }'


def mix():
    """Something of every protocol, both ways."""
    return [
        ('eth0', tcp(A, 4000, B, 80)), ('eth1', tcp(B, 80, A, 4000, 'SA', 5000, 1001)), ('eth0', tcp(A, 4000, B, 80, 'A', 1001, 5001)),
        ('eth0', udp(A, 5000, B, 53)), ('eth1', udp(B, 53, A, 5000)), ('eth0', icmp(A, B)), ('eth1', icmp(B, A, 0)),
        ('eth0', tcp(A, 4001, C, 443)), ('eth0', udp('10.0.1.11', 5001, B, 8080)), ('eth0', tcp('10.0.1.12', 4002, B, 22, 'FPU')),
        ('eth0', icmp(A, ME)), ('eth0', udp(A, 5002, ME, 9)), ('local', udp(ME2, 7000, B, 53, dev='local')),
        ('eth0', udp(A, 5003, '192.0.2.7', 1234, tos=0x28)), ('eth0', packet(A, B, 47, b'\0\0\x08\0abcd')),
    ]


CASES = {}


def lines(text):
    """Blocks of tables, chains and sets on lines of their own, as nft wants them."""
    out, blocks = '', []
    for i, c in enumerate(text):
        if c == '{':
            words = re.split(r'[\n;{}]', out)[-1].split()
            blocks.append(len(words) > 1 and words[0] in ('table', 'chain', 'set', 'map', 'counter', 'quota', 'limit') and '=' not in words)
            out += '{\n' if blocks[-1] else '{'
        elif c == '}':
            out += '\n}\n' if blocks.pop() else '}'
        else:
            out += c
    return out


def case(name, nft, packets=None, **more):
    CASES[name] = (lines(nft), packets, more)


fwd = lambda rules, policy='accept': FORWARD % (policy, rules)
case('ip_fields', fwd('''ip saddr 10.0.1.10 counter
ip saddr 10.0.1.0/31 counter
ip saddr != 10.0.1.10 ip daddr 10.0.2.20 counter
ip daddr 10.0.2.20-10.0.2.30 counter
ip protocol udp counter
ip ttl 62 counter
ip ttl < 62 counter
ip dscp cs1 counter
ip dscp af11 counter
ip length 28-40 counter
ip id > 100 counter
ip hdrlength 5 counter
ip version 4 counter
ip frag-off & 0x1fff == 0 counter
ip protocol { tcp, 47 } counter'''))
case('ports', fwd('''tcp dport 80 counter accept
tcp dport { 22, 443 } counter
tcp dport 1-100 counter
tcp sport >= 4001 counter
udp dport != 53 counter drop
udp sport { 50-53, 5001-5003 } counter
th dport 53 counter
meta l4proto { tcp, udp } th sport 4000-5000 counter
udp length 15 counter
tcp flags syn counter
tcp flags & (fin|syn|rst|ack) == syn counter
tcp flags fin,psh,urg counter
tcp flags != syn counter
tcp flags == fin|psh|urg counter drop
icmp type echo-request counter
icmp type { echo-reply, destination-unreachable } counter
icmp code 0 icmp id 7 counter'''))
case('ct_state', fwd('''ct state established,related counter accept
ct state invalid counter drop
ct state new counter
ct state { new, untracked } counter
ct state != new counter
ct direction original counter
ct direction reply counter
ct status seen-reply counter
ct status assured counter
ct status confirmed counter
ct original ip saddr 10.0.1.10 counter
ct reply ip saddr 10.0.2.20 counter
meta l4proto udp ct original proto-dst 53 counter
ct protocol tcp counter
ct l3proto ipv4 counter
ct mark 0 counter'''))
case('ct_vmap', fwd('ct state vmap { established : accept, related : accept, invalid : drop }\ncounter\nip protocol vmap { tcp : accept, udp : drop, icmp : continue }\ncounter drop', 'drop'))
case('meta', ALL % ('forward', '0', '''meta l4proto tcp counter
meta nfproto ipv4 counter
meta protocol ip counter
meta length < 40 counter
iif "eth0" counter
iifname "eth0" oifname "eth1" counter
iifname "eth*" counter
oifname { "eth0", "eth1" } counter
oif != "eth1" counter
meta pkttype host counter
meta iiftype ether counter
meta mark 0 counter
ip6 saddr ::1 counter
ip saddr 10.0.1.10 counter
ether saddr 02:00:00:00:01:0a counter
ether type ip counter'''))
case('marks', '''table ip t {
 chain pre { type filter hook prerouting priority -150; meta mark set 0x10; ip protocol udp meta mark set meta mark or 0x3; ct mark set meta mark }
 chain f { type filter hook forward priority 0; meta mark 0x13 counter; meta mark & 0x3 == 0 counter; meta mark and 0x1 == 0x1 counter; ct mark 0x10 counter; ct mark and 0xf != 0 counter;
  meta mark set ct mark and 0xfffffff0; meta mark 0x10 counter; meta mark set meta mark xor 0x10; meta mark 0 counter; meta mark set ip dscp map { cs0 : 0x55, af11 : 0x66 }; meta mark 0x55 counter; meta mark set meta mark << 4; meta mark 0x550 counter }
}''')
case('sets', '''table ip t {
 set a { type ipv4_addr; elements = { 10.0.1.10, 10.0.2.20 } }
 set i { type ipv4_addr; flags interval; elements = { 10.0.1.0/28, 10.0.2.20-10.0.2.20, 192.0.2.0/24 } }
 set m { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.1.0/30, 10.0.1.4/30, 10.0.1.6-10.0.1.11 } }
 set c { type ipv4_addr . inet_service; elements = { 10.0.2.20 . 80, 10.0.2.21 . 443 } }
 set ci { type ipv4_addr . inet_service; flags interval; elements = { 10.0.2.0/24 . 1-100, 10.0.2.21 . 400-500 } }
 set p { type inet_proto . inet_service; elements = { tcp . 80, udp . 53 } }
 chain f { type filter hook forward priority 0;
  ip saddr @a counter
  ip saddr != @a counter
  ip daddr @i counter
  ip saddr @m counter
  ip daddr . tcp dport @c counter
  ip daddr . tcp dport @ci counter
  meta l4proto . th dport @p counter
  ip saddr . ip daddr { 10.0.1.10 . 10.0.2.20, 10.0.2.20 . 10.0.1.10 } counter
  ip daddr != { 10.0.2.0/24, 192.0.2.7 } counter
 } }''')
case('maps', '''table ip t {
 map v { type ipv4_addr : verdict; elements = { 10.0.1.10 : jump one, 10.0.1.11 : goto two, 10.0.2.20 : return } }
 map mk { type inet_service : mark; elements = { 80 : 0x80, 53 : 0x53 } }
 map vi { type inet_service : verdict; flags interval; elements = { 1-100 : jump three, 400-8080 : drop } }
 chain one { counter; udp dport vmap { 53 : accept, 1234 : drop }; counter; return; counter }
 chain two { counter }
 chain three { meta mark set tcp dport map @mk; meta mark 0x80 counter }
 chain f { type filter hook forward priority 0; ip saddr vmap @v; counter; tcp dport vmap @vi; counter } }''')
case('jumps', '''table ip t {
 chain c3 { counter; tcp dport 80 return; counter; tcp dport 443 accept; counter; udp dport 53 drop }
 chain c2 { counter; jump c3; counter }
 chain c1 { counter; goto c2; counter }
 chain f { type filter hook forward priority 0; policy drop; jump c1; counter; ip protocol 47 continue; ip protocol icmp accept; counter } }''')
case('priorities', '''table ip a { chain x { type filter hook forward priority 10; counter drop } }
table ip b { chain x { type filter hook forward priority -10; tcp dport 80 counter accept; counter } chain y { type filter hook forward priority 5; udp dport 53 counter drop; counter } }
table inet c { chain x { type filter hook forward priority filter; icmp type echo-request drop; counter } chain z { type filter hook forward priority filter; icmp type echo-request counter } }''')
case('beside_iptables', '''table ip t { chain f { type filter hook forward priority 0; tcp dport 443 counter drop; counter }
 chain b { type filter hook forward priority -1; counter; udp dport 8080 drop } chain l { type filter hook forward priority 1; counter } }
table ip n { chain p { type nat hook prerouting priority -100; tcp dport 80 counter dnat to 10.0.2.21 } chain q { type nat hook prerouting priority -101; udp dport 53 counter dnat to 10.0.2.22 } }''',
     iptables='*filter\n-A FORWARD -p tcp --dport 443\n-A FORWARD -p udp --dport 8080\n-A FORWARD -p icmp -j DROP\nCOMMIT\n*nat\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.2.22\n-A PREROUTING -p udp -j DNAT --to-destination 10.0.2.21\nCOMMIT\n')
NAT = '''table ip n { chain pre { type nat hook prerouting priority dstnat; %s } chain out { type nat hook output priority -100; %s } chain post { type nat hook postrouting priority srcnat; %s } }'''
case('dnat', NAT % ('tcp dport 80 counter dnat to 10.0.2.21:8080; udp dport 53 counter dnat to 10.0.2.22; tcp dport 443 dnat to :8443; udp dport 8080 dnat to 10.0.2.20-10.0.2.22; icmp type echo-request counter', 'udp dport 53 counter dnat to 10.0.2.21:5353', 'counter'),
     mix() + [('eth1', tcp(C, 8080, A, 4000, 'SA', 5000, 1001)), ('eth1', udp('10.0.2.22', 53, A, 5000))])
case('snat', NAT % ('', '', 'ip saddr 10.0.1.10 tcp dport 80 snat to 10.0.2.100; ip saddr 10.0.1.10 udp dport 53 snat to 10.0.2.101:6000; ip protocol icmp snat to 10.0.2.102-10.0.2.105; ip daddr 192.0.2.0/24 snat to 10.0.2.106 persistent; tcp dport 443 counter masquerade; udp dport 8080 masquerade to :9000'),
     mix() + [('eth1', udp(B, 53, '10.0.2.101', 6000)), ('eth1', tcp(B, 80, '10.0.2.100', 4000, 'SA', 5000, 1001))])
case('masquerade', NAT % ('', '', 'oifname "eth1" counter masquerade'))
case('redirect', NAT % ('udp dport 53 counter redirect to :5353; tcp dport 80 redirect; icmp type echo-request redirect', 'udp dport 53 redirect to :5353', ''),
     mix()[:1] + mix()[3:12] + mix()[13:], udp_echo=[{'port': 5353}], tcp_listen=[{'port': 80}])
case('dnat_maps', NAT % ('dnat to ip daddr . tcp dport map { 10.0.2.20 . 80 : 10.0.2.21 . 8081, 10.0.2.21 . 443 : 10.0.2.22 . 8444 }; udp dport { 53, 8080 } dnat to udp dport map { 53 : 10.0.2.22, 8080 : 10.0.2.21 }; ip protocol icmp dnat to numgen inc mod 2 map { 0 : 10.0.2.21, 1 : 10.0.2.22 }', '', ''))
case('kube_proxy', '''table ip kube-proxy {
 set cluster-ips { type ipv4_addr; elements = { 10.96.0.1, 10.96.0.2 } }
 map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.2 . tcp . 81 : drop, 10.96.0.2 . tcp . 82 : goto reject-chain } }
 map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.1 . tcp . 80 : goto svc, 10.96.0.1 . udp . 53 : goto svcu } }
 map service-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 30080 : goto ext } }
 set affinity { type ipv4_addr; flags dynamic,timeout; timeout 3h }
 chain filter-forward { type filter hook forward priority -110; ct state new jump sec; ct state new jump cluster-ips-check }
 chain filter-input { type filter hook input priority -110; ct state new jump sec }
 chain nat-prerouting { type nat hook prerouting priority dstnat; jump services }
 chain nat-output { type nat hook output priority -100; jump services }
 chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading }
 chain services { ip daddr . meta l4proto . th dport vmap @service-ips; fib daddr type local meta l4proto . th dport vmap @service-nodeports }
 chain sec { ip daddr . meta l4proto . th dport vmap @no-endpoint-services }
 chain cluster-ips-check { ip daddr @cluster-ips reject }
 chain reject-chain { reject }
 chain mark-for-masquerade { mark set mark or 0x4000 }
 chain masquerading { mark and 0x4000 == 0 return; mark set mark xor 0x4000; masquerade fully-random }
 chain svc { ip daddr 10.96.0.1 tcp dport 80 ip saddr != 10.0.1.0/28 jump mark-for-masquerade; ip saddr @affinity goto ep1; numgen inc mod 2 vmap { 0 : goto ep1, 1 : goto ep2 } }
 chain svcu { numgen inc mod 1 vmap { 0 : goto ep3 } }
 chain ext { jump mark-for-masquerade; goto svc }
 chain ep1 { ip saddr 10.0.2.20 jump mark-for-masquerade; update @affinity { ip saddr }; meta l4proto tcp dnat to 10.0.2.20:8080 }
 chain ep2 { meta l4proto tcp dnat to 10.0.2.21:8080 }
 chain ep3 { meta l4proto udp dnat to 10.0.2.22:5353 }
}''', [('eth0', tcp(A, 4000, '10.96.0.1', 80)), ('eth1', tcp(B, 8080, A, 4000, 'SA', 5000, 1001)), ('eth0', tcp(A, 4000, '10.96.0.1', 80, 'A', 1001, 5001)),
       ('eth0', tcp(A, 4001, '10.96.0.1', 80)), ('eth0', tcp('10.0.1.11', 4002, '10.96.0.1', 80)), ('eth0', tcp('10.0.1.12', 4003, '10.96.0.1', 80)),
       ('eth0', udp(A, 5000, '10.96.0.1', 53)), ('eth1', udp('10.0.2.22', 5353, A, 5000)), ('eth0', tcp(A, 4004, '10.96.0.2', 81)), ('eth0', tcp(A, 4005, '10.96.0.2', 82)),
       ('eth0', tcp(A, 4006, '10.96.0.2', 83)), ('eth0', icmp(A, '10.96.0.1')), ('local', tcp(ME2, 4007, '10.96.0.1', 80, dev='local')), ('eth0', tcp(A, 4008, ME, 30081))],
     routes=BASE['routes'] + [{'dst': '10.96.0.0/24', 'via': '10.0.2.20', 'dev': 'eth1'}], any_port={'addr': ME2, 'range': [1024, 65535]})
case('reject', '''table inet t { chain f { type filter hook forward priority 0;
 tcp dport 80 reject with tcp reset
 tcp dport 443 reject with icmp host-unreachable
 udp dport 53 reject
 udp dport 8080 reject with icmpx admin-prohibited
 icmp type echo-request reject with icmp net-prohibited
 ip protocol 47 reject with icmpx no-route
 udp dport 1234 reject with icmpx host-unreachable } 
 chain i { type filter hook input priority 0; udp dport 9 reject with icmp prot-unreachable; reject with tcp reset } }''')
case('fib', '''table ip t { chain p { type filter hook prerouting priority -150;
 fib daddr type local counter
 fib saddr type local counter
 fib daddr type { unicast, broadcast } counter
 fib daddr . iif type local counter
 fib saddr . iif oif 0 counter
 fib saddr . iif oif exists counter
 fib saddr . iif oif missing counter
 fib daddr oif "eth1" counter
 fib daddr oifname "eth1" counter
 fib saddr oif "eth0" counter }
 chain f { type filter hook forward priority 0; fib daddr oif "eth1" counter; fib saddr . iif oif exists counter; fib saddr . mark oif "eth0" counter } }''',
     mix() + [('eth0', udp('10.0.2.99', 1, B, 2)), ('eth0', udp(A, 1, '10.0.1.255', 2)), ('eth0', udp(A, 1, ME2, 2)), ('eth0', udp('203.0.113.9', 3, B, 4))])
case('numgen_hash', fwd('''numgen inc mod 3 0 counter
numgen inc mod 3 offset 10 10-11 counter
numgen inc mod 2 vmap { 0 : continue, 1 : drop }
meta mark set jhash ip saddr . ip daddr mod 16 seed 0xdeadbeef
meta mark 0-3 counter
meta mark 4-7 counter
meta mark 8-11 counter
meta mark 12-15 counter
jhash ip saddr mod 7 seed 1 offset 100 100-103 counter
jhash tcp dport . ip daddr mod 5 seed 0x5 < 2 counter
jhash tcp sport mod 9 seed 3 < 5 counter
jhash ip saddr . ip daddr . th sport . th dport mod 11 seed 0x99 > 5 counter
jhash meta mark mod 13 seed 7 < 6 counter'''))
case('limits', fwd('''ip protocol udp limit rate 2/second burst 2 packets counter
ip protocol udp limit rate over 1/minute burst 3 packets counter
limit rate 10/hour counter
limit rate 100 bytes/second counter
limit rate over 1 kbytes/second burst 64 bytes counter
quota 100 bytes counter
quota over 150 bytes counter'''), [('eth0', udp(A, 5000 + i, B, 53, b'x' * (4 * i))) for i in range(8)])
case('named_objects', '''table ip t { counter c1 { } counter c2 { packets 5 bytes 100 } quota q { over 200 bytes } limit l { rate 3/minute burst 2 packets }
 map om { type inet_service : counter; elements = { 80 : "c1", 443 : "c2" } }
 chain f { type filter hook forward priority 0; counter name c1; counter name tcp dport map @om; quota name "q" counter; limit name "l" counter } }'''.replace('counter name tcp dport map @om; ', ''))
case('dynamic', '''table ip t { set d { type ipv4_addr; flags dynamic; size 2 } set u { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 1m } set l { type ipv4_addr; size 128; flags dynamic }
 map lb { type ipv4_addr : inet_service; flags dynamic; size 16 }
 chain f { type filter hook forward priority 0; add @d { ip saddr } counter; counter; update @u { ip daddr . tcp dport } counter; add @lb { ip saddr : tcp sport } counter; ip saddr @d counter; delete @d { ip daddr } } }'''.replace('add @lb { ip saddr : tcp sport } counter; ', '').replace('map lb { type ipv4_addr : inet_service; flags dynamic; size 16 }', ''))
case('timeouts', '''table ip t { set s { type ipv4_addr; flags timeout; elements = { 10.0.1.10 timeout 100ms, 10.0.1.11 timeout 1h } } set g { type ipv4_addr; flags dynamic,timeout; timeout 200ms }
 chain f { type filter hook forward priority 0; ip saddr @s counter; ip saddr @g counter; udp dport 1 update @g { ip saddr } counter; udp dport 2 add @g { ip saddr } } }''',
     [(0, 'eth0', udp(A, 9, B, 1)), (0, 'eth0', udp('10.0.1.11', 9, B, 2)), (250, 'eth0', udp(A, 9, B, 3)), (250, 'eth0', udp('10.0.1.11', 9, B, 3)), (260, 'eth0', udp(A, 9, B, 1)), (380, 'eth0', udp(A, 9, B, 1)), (700, 'eth0', udp(A, 9, B, 3))])
case('mangle', '''table ip t { chain f { type filter hook forward priority 0;
 udp dport 53 ip dscp set ef
 tcp dport 80 tcp dport set 8080
 tcp dport 443 tcp option maxseg size set 1200
 tcp flags syn tcp option maxseg size 1460 counter
 tcp option maxseg exists counter
 tcp option window count 7 counter
 icmp type echo-request ip ttl set 9
 udp dport 8080 ip saddr set 10.0.1.99
 udp dport 1234 ip daddr set 192.0.2.8 udp sport set 99
 tcp dport 22 ip ecn set ce } }''', mix() + [('eth0', tcp(A, 4100, B, 443, options=bytes.fromhex('020405b401030307'))), ('eth0', tcp(A, 4101, B, 443, options=bytes.fromhex('0101020403e80101')))])
case('notrack', '''table ip t { chain r { type filter hook prerouting priority raw; udp dport 53 notrack; tcp dport 80 notrack }
 chain f { type filter hook forward priority 0; ct state untracked counter; ct state new counter; ct state established counter; ct state invalid counter } }''')
case('route_chain', '''table ip t { chain o { type route hook output priority mangle; udp dport 53 meta mark set 7; counter } chain p { type filter hook postrouting priority 0; meta mark 7 oifname "eth0" counter } }''',
     mix() + [('local', udp(ME2, 7001, B, 53, dev='local')), ('local', udp(ME2, 7002, B, 54, dev='local'))],
     ip_rules=['fwmark 7 table 100 pref 100'], routes=BASE['routes'] + [{'dst': '10.0.2.0/24', 'via': '10.0.1.20', 'dev': 'eth0', 'table': 100}])
case('truncated', fwd('tcp dport 80 counter\ntcp sport 4000 counter\nudp dport 53 counter\ntcp flags syn counter\ntcp ackseq 0 counter\nicmp type echo-request counter\nth dport 80 counter\nip length > 0 counter'),
     [('eth0', packet(A, B, 6, b'\x0f\xa0')), ('eth0', packet(A, B, 6, b'\x0f\xa0\0\x50')), ('eth0', packet(A, B, 17, b'\0\x35\0')), ('eth0', packet(A, B, 1, b'')), ('eth0', packet(A, B, 1, b'\x08')),
      ('eth0', packet(A, B, 6, b'\x0f\xa0\0\x50' + b'\0' * 12)), ('eth0', packet(A, B, 6, b'\x0f\xa0\0\x50' * 6, frag=10))])
case('hooks', ' '.join('table ip t%d { chain c { type filter hook %s priority 0; counter; ip protocol icmp counter } }' % (i, h) for i, h in enumerate(['prerouting', 'input', 'forward', 'output', 'postrouting'])))
case('defines', '''define lan = 10.0.1.0/24
define ports = { 80, 443 }
table ip t {
 # a comment
 chain f { type filter hook forward priority filter + 5; policy accept
  ip saddr $lan tcp dport $ports counter comment "two of them"
  ip saddr { $lan, 10.0.2.20 } counter
 }
}
add rule ip t f udp dport 53 counter
insert rule ip t f counter
''')


def main():
    out = os.path.join(HERE, '..', 'recorded', 'nft')
    for name, (nft, packets, more) in CASES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        full = {'name': name, **BASE, **more, 'nft': nft, 'packets': [
            {'at_ms': p[0], 'in': p[1], 'frame': p[2]} if len(p) == 3 else {'in': p[0], 'frame': p[1]} for p in packets or mix()]}
        oracle = NftOracle()
        try:
            result = oracle.run(full)
        except Exception as error:
            print(name, error)
            continue
        with open(os.path.join(out, name + '.json'), 'w') as file:
            json.dump({'case': full, 'result': result}, file, separators=(',', ':'))
            file.write('\n')
        print(name, len(result['out']))


if __name__ == '__main__':
    main()
