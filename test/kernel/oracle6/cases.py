#!/usr/bin/python3
"""cases.py - writes the recorded cases of IPv6: cases.py FOLDER [SUBSTRING] runs each through netfilter_oracle6.py (root) and
stores {case, result} as FOLDER/NAME.json."""
import ipaddress, json, os, struct, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import netfilter_oracle6 as oracle

R0, R1 = '02:00:00:00:0a:01', '02:00:00:00:0b:01'     # the router's ends
H0, H1 = '02:00:00:00:0a:02', '02:00:00:00:0b:02'     # hosts there
A, B = '2001:db8:a::2', '2001:db8:b::2'
RA, RB = '2001:db8:a::1', '2001:db8:b::1'
LL0, LL1 = 'fe80::ff:fe00:a01', 'fe80::ff:fe00:b01'
LH0, LH1 = 'fe80::ff:fe00:a02', 'fe80::ff:fe00:b02'

ad = lambda a: ipaddress.IPv6Address(a).packed
mac = lambda m: bytes.fromhex(m.replace(':', ''))
csum = oracle.base.csum

def l4sum(src, dst, nh, b, at):
    b = bytearray(b)
    b[at:at + 2] = b'\0\0'
    c = csum(ad(src) + ad(dst) + struct.pack('!II', len(b), nh) + bytes(b))
    if c == 0 and nh == 17: c = 0xffff
    b[at:at + 2] = struct.pack('!H', c)
    return bytes(b)

def ip(src, dst, nh, payload, hl=63, tc=0, label=0, plen=None, ver=6):
    return struct.pack('!IHBB', ver << 28 | tc << 20 | label, len(payload) if plen is None else plen, nh, hl) + ad(src) + ad(dst) + payload

def udp(src, dst, sp=1000, dp=2000, data=b'hello123'):
    return l4sum(src, dst, 17, struct.pack('!HHHH', sp, dp, 8 + len(data), 0) + data, 6)

def tcp(src, dst, sp=1000, dp=2000, seq=1, ack=0, flags=2, data=b''):
    return l4sum(src, dst, 6, struct.pack('!HHIIBBHHH', sp, dp, seq, ack, 5 << 4, flags, 65535, 0, 0) + data, 16)

def icmp(src, dst, ty, code=0, rest=b'\0\0\0\0', data=b''):
    return l4sum(src, dst, 58, struct.pack('!BBH', ty, code, 0) + rest + data, 2)

def echo(src, dst, data=b'abcdefgh', ty=128):
    return icmp(src, dst, ty, 0, struct.pack('!HH', 7, 1), data)

def eth(dst, src, b, et=0x86dd):
    return mac(dst) + mac(src) + struct.pack('!H', et) + b

def mcmac(dst):
    return '33:33:%02x:%02x:%02x:%02x' % tuple(ad(dst)[12:])

def lla(ty, m):
    return bytes([ty, 1]) + mac(m)

def snm(a):
    return str(ipaddress.IPv6Address(ad('ff02::1:ff00:0')[:13] + ad(a)[13:]))

def ns(src, dst, target, opts=b'', hl=255):
    return ip(src, dst, 58, icmp(src, dst, 135, 0, b'\0' * 4, ad(target) + opts), hl)

def na(src, dst, target, flags=0x60, opts=b'', hl=255):
    return ip(src, dst, 58, icmp(src, dst, 136, 0, bytes([flags, 0, 0, 0]), ad(target) + opts), hl)

def ra(src, dst='ff02::1', hops=0, flags=0, life=1800, reach=0, retrans=0, opts=b'', hl=255):
    return ip(src, dst, 58, icmp(src, dst, 134, 0, struct.pack('!BBH', hops, flags, life), struct.pack('!II', reach, retrans) + opts), hl)

def pio(prefix, plen, flags, valid, pref):
    return struct.pack('!BBBBIII', 3, 4, plen, flags, valid, pref, 0) + ad(prefix)

def ext(nh, body):
    n = len(body) + 2
    assert n % 8 == 0, n
    return bytes([nh, n // 8 - 1]) + body

def fragh(nh, off, more, ident):
    return struct.pack('!BBHI', nh, 0, off | (1 if more else 0), ident)

def frags(src, dst, nh, l4, sizes, ident=0x1111):
    out, o = [], 0
    for n, s in enumerate(sizes):
        out.append(ip(src, dst, 44, fragh(nh, o, o + s < len(l4), ident) + l4[o:o + s]))
        o += s
    return out

CASES = []
def case(name, packets, **kw):
    c = {'name': name,
         'interfaces': {'eth0': {'mac': R0, 'addr': [RA + '/64']}, 'eth1': {'mac': R1, 'addr': [RB + '/64']}},
         'neighbors': [{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': B, 'mac': H1, 'dev': 'eth1'}]}
    c.update(kw)
    c['packets'] = []
    for p in packets:
        if isinstance(p, dict):
            c['packets'].append(p)
        else:
            c['packets'].append({'in': p[0], 'frame': p[1].hex(), **(p[2] if len(p) > 2 else {})})
    CASES.append(c)

def a(b, **kw):  # from host A
    return ('eth0', eth(R0, H0, b), kw)
def b_(b, **kw):
    return ('eth1', eth(R1, H1, b), kw)
def g(dst, b, **kw):  # to a group, from A's side
    return ('eth0', eth(mcmac(dst), H0, b), kw)

UDP = lambda **kw: ip(A, B, 17, udp(A, B), **kw)

case('forward_plain', [a(UDP()), a(ip(A, B, 6, tcp(A, B))), a(ip(A, B, 58, echo(A, B), tc=0xb8, label=0x12345)), b_(ip(B, A, 58, echo(B, A, ty=129)))])
case('hop_limit', [a(UDP(hl=2)), a(UDP(hl=1)), a(UDP(hl=0)), a(ip(A, RA, 58, echo(A, RA), hl=1))])
case('too_big', [a(ip(A, B, 17, udp(A, B, data=b'x' * 1300))), a(ip(A, B, 17, udp(A, B, data=b'y' * 1232))), a(ip(A, B, 17, udp(A, B, data=b'z' * 1233)))],
     interfaces={'eth0': {'mac': R0, 'addr': [RA + '/64']}, 'eth1': {'mac': R1, 'addr': [RB + '/64'], 'mtu': 1280}})
case('too_big_route_mtu', [a(ip(A, '2001:db8:c::1', 17, udp(A, '2001:db8:c::1', data=b'x' * 1400)))],
     routes=[{'dst': '2001:db8:c::/64', 'via': B, 'mtu': 1400}])
case('no_route', [a(ip(A, '3001::1', 17, udp(A, '3001::1'))), a(ip(A, '2001:db8:d1::1', 17, udp(A, '2001:db8:d1::1'))),
                  a(ip(A, '2001:db8:d2::1', 17, udp(A, '2001:db8:d2::1'))), a(ip(A, '2001:db8:d3::1', 17, udp(A, '2001:db8:d3::1'))),
                  a(ip(A, '2001:db8:d4::1', 17, udp(A, '2001:db8:d4::1')))],
     routes=[{'dst': '2001:db8:d1::/64', 'type': 'blackhole'}, {'dst': '2001:db8:d2::/64', 'type': 'unreachable'},
             {'dst': '2001:db8:d3::/64', 'type': 'prohibit'}, {'dst': '2001:db8:d4::/64', 'type': 'throw'}])
case('martians', [a(ip('::1', B, 17, udp('::1', B))), a(ip(A, '::1', 17, udp(A, '::1'))), a(ip('ff02::5', B, 17, udp('ff02::5', B))),
                  a(ip('::', B, 17, udp('::', B))), a(ip(LH0, B, 17, udp(LH0, B))), a(ip(A, '::', 17, udp(A, '::'))),
                  a(ip(A, 'ff01::1', 17, udp(A, 'ff01::1'))), a(ip(A, 'ff00::1', 17, udp(A, 'ff00::1'))),
                  a(ip(RA, B, 17, udp(RA, B))), a(ip(A, LL1, 17, udp(A, LL1))), a(ip(A, 'fe80::99', 17, udp(A, 'fe80::99'))),
                  a(ip('::ffff:10.0.0.1', B, 17, udp('::ffff:10.0.0.1', B))), a(ip(A, '::ffff:10.0.0.1', 17, udp(A, '::ffff:10.0.0.1')))])
case('malformed', [a(UDP()[:39]), a(UDP(ver=4)), a(UDP(plen=17)), a(UDP(plen=15)), a(UDP() + b'trailer'), a(UDP(plen=0)), a(b''), a(UDP()[:1])])
case('l2_group', [('eth0', eth('33:33:00:00:00:01', H0, UDP())), ('eth0', eth('ff:ff:ff:ff:ff:ff', H0, UDP())),
                  ('eth0', eth('02:00:00:00:99:99', H0, UDP())), ('eth0', eth('33:33:00:00:00:01', H0, ip(A, RA, 58, echo(A, RA))))])
case('forwarding_off', [a(UDP()), a(ip(A, '3001::1', 17, udp(A, '3001::1'))), a(ip(A, RA, 58, echo(A, RA)))], sysctl={'net.ipv6.conf.all.forwarding': 0})
case('echo', [a(ip(A, RA, 58, echo(A, RA), tc=0x2c, label=0x54321)), a(ip(A, RB, 58, echo(A, RB))), g('ff02::1', ip(A, 'ff02::1', 58, echo(A, 'ff02::1'))),
              a(ip(LH0, LL0, 58, echo(LH0, LL0))), a(ip(A, '2001:db8:a::', 58, echo(A, '2001:db8:a::'))), a(ip(A, RA, 58, echo(A, RA)[:-1] + b'!')),
              a(ip(A, RA, 58, echo(A, RA)[:6])), g('ff02::2', ip(A, 'ff02::2', 58, echo(A, 'ff02::2'))), g('ff02::9', ip(A, 'ff02::9', 58, echo(A, 'ff02::9')))],
     neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': LH0, 'mac': H0, 'dev': 'eth0'}])
case('echo_ignored', [g('ff02::1', ip(A, 'ff02::1', 58, echo(A, 'ff02::1'))), a(ip(A, '2001:db8:a::', 58, echo(A, '2001:db8:a::'))), a(ip(A, RA, 58, echo(A, RA)))],
     sysctl={'net.ipv6.icmp.echo_ignore_multicast': 1, 'net.ipv6.icmp.echo_ignore_anycast': 1})
case('anycast_echo_source', [a(ip(A, '2001:db8:a::', 58, echo(A, '2001:db8:a::')))], sysctl={'net.ipv6.anycast_src_echo_reply': 1})
case('no_protocol', [a(ip(A, RA, 253, b'12345678')), a(ip(A, RA, 59, b'')), a(ip(A, RA, 60, ext(200, b'\1\4\0\0\0\0') + b'12345678')), a(ip(A, B, 253, b'12345678'))])
case('closed_ports', [a(ip(A, RA, 6, tcp(A, RA, seq=100))), a(ip(A, RA, 17, udp(A, RA))), a(ip(A, RA, 6, tcp(A, RA, seq=100, ack=500, flags=0x10, data=b'xy'))),
                      a(ip(A, RA, 6, tcp(A, RA, flags=4))), a(ip(A, RA, 17, udp(A, RA)[:-1] + b'?')), a(ip(A, RA, 17, udp(A, RA)[:6] + b'\0\0' + b'hello123')),
                      g('ff02::1', ip(A, 'ff02::1', 17, udp(A, 'ff02::1')))])
case('udp_echo', [a(ip(A, RA, 17, udp(A, RA, 3333, 7777))), a(ip(A, RB, 17, udp(A, RB, 3333, 7777))), a(ip(LH0, LL0, 17, udp(LH0, LL0, 3334, 7777)))],
     udp_echo=[{'port': 7777}], neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': LH0, 'mac': H0, 'dev': 'eth0'}])
case('tcp_listen', [a(ip(A, RA, 6, tcp(A, RA, 3333, 80, seq=100)))], tcp_listen=[{'port': 80}])
case('hop_by_hop', [a(ip(A, B, 0, ext(17, b'\1\4\0\0\0\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\5\2\0\0\1\0') + udp(A, B))),
                    a(ip(A, B, 0, ext(17, b'\x1e\4\0\0\0\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\x5e\4\0\0\0\0') + udp(A, B))),
                    a(ip(A, B, 0, ext(17, b'\x9e\4\0\0\0\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\xde\4\0\0\0\0') + udp(A, B))),
                    a(ip(A, B, 0, ext(17, b'\1\4\0\1\0\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\x1e\5\0\0\0\0') + udp(A, B))),
                    a(ip(A, B, 0, ext(17, b'\xc2\4\0\0\0\x10') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\xc2\4\0\1\0\0') + udp(A, B))),
                    a(ip(A, B, 0, ext(17, b'\0\0\0\0\0\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\0' * 14) + udp(A, B))),
                    a(ip(A, B, 0, b'\x11\5\1\4\0\0\0\0')), a(ip(A, B, 0, b'\x11')), a(ip(A, B, 17, udp(A, B)))])
case('hop_by_hop_group', [g('ff02::1', ip(A, 'ff02::1', 0, ext(17, b'\x9e\4\0\0\0\0') + udp(A, 'ff02::1'))),
                          g('ff02::1', ip(A, 'ff02::1', 0, ext(17, b'\xde\4\0\0\0\0') + udp(A, 'ff02::1')))])
case('hop_by_hop_limits', [a(ip(A, B, 0, ext(17, b'\x1e\0\x1e\0\x1e\0') + udp(A, B))), a(ip(A, B, 0, ext(17, b'\x1e\0\1\2\0\0') + udp(A, B)))],
     sysctl={'net.ipv6.max_hbh_opts_number': 2})
case('destination_options', [a(ip(A, RA, 60, ext(58, b'\1\4\0\0\0\0') + echo(A, RA))), a(ip(A, RA, 60, ext(58, b'\x1e\4\0\0\0\0') + echo(A, RA))),
                             a(ip(A, RA, 60, ext(58, b'\x5e\4\0\0\0\0') + echo(A, RA))), a(ip(A, RA, 60, ext(58, b'\x9e\4\0\0\0\0') + echo(A, RA))),
                             a(ip(A, RA, 60, ext(58, b'\xde\4\0\0\0\0') + echo(A, RA))), a(ip(A, RA, 60, b'\x3a\7\1\4\0\0\0\0')),
                             a(ip(A, B, 60, ext(17, b'\xde\4\0\0\0\0') + udp(A, B))), a(ip(A, RA, 60, ext(0, b'\1\4\0\0\0\0') + ext(58, b'\1\4\0\0\0\0') + echo(A, RA)))])
case('routing_header', [a(ip(A, RA, 43, ext(58, b'\0\0' + b'\0' * 4) + echo(A, RA))), a(ip(A, RA, 43, ext(58, b'\0\1' + b'\0' * 4 + ad(B)) + echo(A, RA))),
                        a(ip(A, RA, 43, ext(58, b'\2\1' + b'\0' * 4 + ad(B)) + echo(A, RA))), a(ip(A, RA, 43, ext(58, b'\4\0' + b'\0' * 4 + ad(B)) + echo(A, RA))),
                        a(ip(A, RA, 43, ext(58, b'\2\0' + b'\0' * 4 + ad(B)) + echo(A, RA))), a(ip(A, B, 43, ext(17, b'\0\1' + b'\0' * 4 + ad(B)) + udp(A, B))),
                        a(ip(A, RA, 43, b'\x3a\7\0\0\0\0\0\0'))])
big = lambda s, d, n=2000: echo(s, d, data=bytes(i & 255 for i in range(n)))
case('fragments_local', [a(f) for f in frags(A, RA, 58, big(A, RA), [1232, 776])] + [a(f) for f in reversed(frags(A, RA, 58, big(A, RA), [1232, 776], 0x2222))])
case('fragments_forward', [a(f) for f in frags(A, B, 58, big(A, B), [1232, 776])])
f = frags(A, RA, 58, big(A, RA), [1232, 776], 0x3333)
over = ip(A, RA, 44, fragh(58, 1224, False, 0x3333) + big(A, RA)[1224:])
dup = f[0]
case('fragments_overlap', [a(f[0]), a(over), a(f[1])])
case('fragments_duplicate', [a(f[0]), a(dup), a(f[1])])
case('fragment_errors', [a(ip(A, RA, 44, fragh(58, 0, True, 5) + echo(A, RA)[:13])), a(ip(A, RA, 44, fragh(58, 65528, False, 6) + b'x' * 16)),
                         a(ip(A, RA, 44, fragh(58, 0, False, 7) + echo(A, RA))), a(ip(A, RA, 44, b'\x3a\0\0')), a(ip(A, RA, 44, fragh(17, 0, True, 8) + b'12345678'[:0] )),
                         a(ip(A, RA, 44, fragh(60, 0, True, 9) + b'\x11\7\0\0\0\0\0\0')), a(ip(A, RA, 44, fragh(6, 0, True, 10) + b'x' * 8)),
                         a(ip(A, RA, 44, fragh(44, 0, False, 11) + fragh(58, 0, False, 12) + echo(A, RA)))])
case('fragments_timeout', [a(frags(A, RA, 58, big(A, RA), [1232, 776], 0x4444)[0]), a(ip(A, RA, 58, echo(A, RA)), at_ms=1600)], sysctl={'net.ipv6.ip6frag_time': 1})
case('fragments_out', [a(f) for f in frags(A, RB, 58, big(A, RB, 3000), [1432, 1432, 144], 0x5555)])
case('fragment_in_ndp', [a(ip(A, snm(RA), 44, fragh(58, 0, False, 77) + icmp(A, snm(RA), 135, 0, b'\0' * 4, ad(RA) + lla(1, H0)), hl=255))])
case('atomic_forward', [a(ip(A, B, 44, fragh(17, 0, False, 9) + udp(A, B)))])
case('ns_answered', [g(snm(RA), ns('2001:db8:a::5', snm(RA), RA, lla(1, H0))), a(ns('2001:db8:a::6', RA, RA, lla(1, H0))), a(ns('2001:db8:a::7', RA, RA)),
                     g(snm(RA), ns('::', snm(RA), RA)), g(snm(LL0), ns(LH0, snm(LL0), LL0, lla(1, H0))), g(snm(RA), ns('2001:db8:a::8', snm(RA), RA))])
case('ns_refused', [g(snm(RA), ns('2001:db8:a::5', snm(RA), RA, lla(1, H0), hl=254)), g(snm(RA), ns('2001:db8:a::5', snm(RA), '2001:db8:a::77', lla(1, H0))),
                    g(snm(RA), ns('2001:db8:a::5', snm(RA), 'ff02::1', lla(1, H0))), g('ff02::1', ns('::', 'ff02::1', RA)),
                    g(snm(RA), ns('::', snm(RA), RA, lla(1, H0))), g(snm(RA), ns('2001:db8:a::5', snm(RA), RA, b'\1\0' + mac(H0))),
                    g(snm(RA), ns('2001:db8:a::5', snm(RA), RA, b'\1\3' + mac(H0))), g(snm(RA), ns('2001:db8:a::5', snm(RA), RA, b'\1\2' + mac(H0) + b'\0' * 8)),
                    g(snm(RA), ns('2001:db8:a::5', snm(RA), RA)[:-8])])
case('neigh_resolve', [a(ip(A, '2001:db8:b::9', 17, udp(A, '2001:db8:b::9')), quiet_ms=30),
                       b_(na('2001:db8:b::9', LL1, '2001:db8:b::9', 0x60, lla(2, H1))), a(ip(A, '2001:db8:b::9', 17, udp(A, '2001:db8:b::9')))])
case('neigh_failed', [a(ip(A, '2001:db8:b::9', 17, udp(A, '2001:db8:b::9'))), a(ip(A, RA, 58, echo(A, RA)), at_ms=3600)])
NB = '2001:db8:b::9'
learn = [a(ip(A, NB, 17, udp(A, NB))), b_(na(NB, LL1, NB, 0x60, lla(2, H1)))]
H9 = '02:00:00:00:0b:99'
case('na_override', learn + [b_(na(NB, 'ff02::1', NB, 0x00, lla(2, H9)))])
case('na_override_set', learn + [b_(na(NB, 'ff02::1', NB, 0x20, lla(2, H9)))])
case('na_solicited_same', learn + [b_(na(NB, LL1, NB, 0xc0, lla(2, H1)))])
case('na_untracked', [b_(na(NB, 'ff02::1', NB, 0x20, lla(2, H9)))])
case('na_accept_untracked', [b_(na(NB, 'ff02::1', NB, 0x20, lla(2, H9)))], sysctl={'net.ipv6.conf.eth1.accept_untracked_na': 1})
case('na_drop_unsolicited', learn + [b_(na(NB, 'ff02::1', NB, 0x20, lla(2, H9)))], sysctl={'net.ipv6.conf.eth1.drop_unsolicited_na': 1})
case('redirect_sent', [a(ip(A, '2001:db8:c::1', 17, udp(A, '2001:db8:c::1'))), a(ip(A, '2001:db8:a::3', 17, udp(A, '2001:db8:a::3')))],
     routes=[{'dst': '2001:db8:c::/64', 'via': LH0, 'dev': 'eth0'}],
     neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': LH0, 'mac': '02:00:00:00:0a:77', 'dev': 'eth0'}, {'ip': '2001:db8:a::3', 'mac': '02:00:00:00:0a:03', 'dev': 'eth0'}])
off = {'net.ipv6.conf.all.forwarding': 0}
red = lambda src, dst, tgt, opts=b'': ip(src, LL0, 58, icmp(src, LL0, 137, 0, b'\0' * 4, ad(tgt) + ad(dst) + opts), 255)
local = lambda b, **kw: {'in': 'local', 'frame': b.hex(), **kw}
rq = lambda d: ip(RA, d, 58, echo(RA, d))
ru = lambda d: ip(RA, d, 17, udp(RA, d))
redn = [{'ip': LH0, 'mac': H0, 'dev': 'eth0'}, {'ip': 'fe80::77', 'mac': '02:00:00:00:0a:77', 'dev': 'eth0'}]
case('redirect_accepted', [local(rq('2001:db8:c::1')), a(red(LH0, '2001:db8:c::1', 'fe80::77', lla(2, '02:00:00:00:0a:77') + struct.pack('!BBHI', 4, 7, 0, 0) + rq('2001:db8:c::1')[:48])),
                           local(rq('2001:db8:c::1')), local(rq('2001:db8:c::2'))],
     routes=[{'dst': '2001:db8:c::/64', 'via': LH0, 'dev': 'eth0'}], neighbors=redn, sysctl=off)
case('redirect_no_socket', [local(ru('2001:db8:c::1')), a(red(LH0, '2001:db8:c::1', 'fe80::77', lla(2, '02:00:00:00:0a:77') + struct.pack('!BBHI', 4, 7, 0, 0) + ru('2001:db8:c::1')[:48])),
                           local(ru('2001:db8:c::1'))],
     routes=[{'dst': '2001:db8:c::/64', 'via': LH0, 'dev': 'eth0'}], neighbors=redn, sysctl=off)
case('redirect_refused', [a(red('fe80::99', '2001:db8:c::1', 'fe80::77', struct.pack('!BBHI', 4, 7, 0, 0) + rq('2001:db8:c::1')[:48])),
                          a(red(A, '2001:db8:c::1', 'fe80::77')), local(rq('2001:db8:c::1'))],
     routes=[{'dst': '2001:db8:c::/64', 'via': LH0, 'dev': 'eth0'}], neighbors=redn, sysctl=off)
FF = {'net.ipv6.conf.all.forwarding': 0}
host = dict(interfaces={'eth0': {'mac': R0}}, neighbors=[], sysctl_first=FF)
case('ra_default', [g('ff02::1', ra(LH0, hops=50, life=600, opts=lla(1, H0)))], **host)
case('ra_prefix', [g('ff02::1', ra(LH0, opts=lla(1, H0) + pio('2001:db8:77::', 64, 0xc0, 3600, 1800))), local(ip('::', '2001:db8:99::1', 17, udp('2001:db8:77::ff:fe00:a01', '2001:db8:99::1')))], **host)
case('ra_prefix_kinds', [g('ff02::1', ra(LH0, life=0, opts=pio('2001:db8:71::', 64, 0x80, 3600, 1800) + pio('2001:db8:72::', 64, 0x40, 3600, 1800)
                           + pio('2001:db8:73::', 56, 0xc0, 3600, 1800) + pio('fe80::', 64, 0xc0, 3600, 1800) + pio('2001:db8:74::', 64, 0xc0, 1800, 3600)
                           + pio('2001:db8:75::', 64, 0xc0, 0xffffffff, 0xffffffff)))], **host)
case('ra_withdrawn', [g('ff02::1', ra(LH0, life=600, opts=lla(1, H0) + pio('2001:db8:77::', 64, 0xc0, 3600, 1800))),
                      g('ff02::1', ra(LH0, life=0, opts=pio('2001:db8:77::', 64, 0xc0, 0, 0)))], **host)
case('ra_preferences', [g('ff02::1', ra(LH0, flags=0x18, opts=lla(1, H0))), g('ff02::1', ra('fe80::77', flags=0x08, opts=lla(1, '02:00:00:00:0a:77'))),
                        g('ff02::1', ra('fe80::78', flags=0x10, opts=lla(1, '02:00:00:00:0a:78'))), local(ip('fe80::ff:fe00:a01', '2001:db8:99::1', 17, udp('fe80::ff:fe00:a01', '2001:db8:99::1')))], **host)
case('ra_route_information', [g('ff02::1', ra(LH0, life=0, opts=struct.pack('!BBBBI', 24, 2, 48, 0x08, 600) + ad('2001:db8:5::')[:8]
                              + struct.pack('!BBBBI', 24, 1, 0, 0, 600) + struct.pack('!BBBBI', 24, 3, 96, 0x18, 0xffffffff) + ad('2001:db8:6::') + struct.pack('!BBBBI', 24, 2, 40, 0x10, 600) + ad('2001:db8:7::')[:8]))],
     **dict(host, sysctl={'net.ipv6.conf.eth0.accept_ra_rt_info_max_plen': 128}))
case('ra_mtu_timers', [g('ff02::1', ra(LH0, reach=20000, retrans=500, opts=struct.pack('!BBHI', 5, 1, 0, 1400))), g('ff02::1', ra(LH0, opts=struct.pack('!BBHI', 5, 1, 0, 9000)))], **host)
case('ra_refused', [g('ff02::1', ra(LH0, hl=64)), g('ff02::1', ra(A)), g('ff02::1', ra(LH0, opts=b'\1\0' + mac(H0))), g('ff02::1', ra(LH0)[:-1])], **host)
case('ra_router_ignores', [g('ff02::1', ra(LH0, opts=lla(1, H0) + pio('2001:db8:77::', 64, 0xc0, 3600, 1800)))])
case('ra_accept_2', [g('ff02::1', ra(LH0, opts=lla(1, H0) + pio('2001:db8:77::', 64, 0xc0, 3600, 1800)))], sysctl={'net.ipv6.conf.eth0.accept_ra': 2})
case('rs_heard', [g('ff02::2', ip(LH0, 'ff02::2', 58, icmp(LH0, 'ff02::2', 133, 0, b'\0' * 4, lla(1, H0)), 255)),
                  g('ff02::2', ip('::', 'ff02::2', 58, icmp('::', 'ff02::2', 133), 255))])
case('rs_sent', [local(ip(LL0, 'ff02::1', 58, echo(LL0, 'ff02::1'), hl=1), at_ms=200)], **dict(host, sysctl_first=dict(FF, **{'net.ipv6.conf.default.router_solicitations': 1})))
dadsys = {'net.ipv6.conf.default.accept_dad': 1, 'net.ipv6.conf.default.addr_gen_mode': 1, 'net.ipv6.conf.default.enhanced_dad': 0}
T = '2001:db8:a::55'
case('dad_passes', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0' % T}, g(snm(T), ns(A, snm(T), T, lla(1, H0)), at_ms=300), g(snm(T), ns(A, snm(T), T, lla(1, H0)), at_ms=1700)], sysctl_first=dadsys)
case('dad_fails_ns', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0' % T}, g(snm(T), ns('::', snm(T), T), at_ms=300)], sysctl_first=dadsys)
case('dad_fails_na', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0' % T}, g('ff02::1', na(T, 'ff02::1', T, 0x20, lla(2, H0)), at_ms=300)], sysctl_first=dadsys)
case('dad_optimistic', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0 optimistic' % T}, g(snm(T), ns(A, snm(T), T, lla(1, H0)), at_ms=300), a(ip(A, T, 58, echo(A, T)))], sysctl_first=dict(dadsys, **{'net.ipv6.conf.default.optimistic_dad': 1}))
case('dad_nonce', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0' % T}], sysctl_first=dict(dadsys, **{'net.ipv6.conf.default.enhanced_dad': 1}))
case('ndisc_notify', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0' % T, 'quiet_ms': 1300}], sysctl_first=dict(dadsys, **{'net.ipv6.conf.default.ndisc_notify': 1}))
case('lifetimes', [{'in': 'ip', 'args': 'addr add %s/64 dev eth0 nodad valid_lft 100 preferred_lft 0' % T}, {'in': 'ip', 'args': 'addr add 2001:db8:a::56/64 dev eth0 nodad valid_lft 1 preferred_lft 1'},
                   a(ip(A, RA, 58, echo(A, RA)), at_ms=2300)])
src = lambda d: local(ip('::', d, 58, echo('::', d), hl=64))
case('source_selection', [local(ip('::', d, 17, udp('::', d), hl=64)) for d in
     ('2001:db8:a::9', '2001:db8:b::9', 'fe80::9', 'fd00::9', '2002::9', '2001:db8:a:1::9', 'ff0e::9', '::1', RA, 'fec0::9')],
     interfaces={'eth0': {'mac': R0, 'addr': [RA + '/64', 'fd00::1/64', '2001:db8:a:1::1/64', '2002:1::1/64']}, 'eth1': {'mac': R1, 'addr': [RB + '/64']}},
     routes=[{'dst': '::/0', 'dev': 'eth0'}], neighbors=[{'ip': d, 'mac': H0, 'dev': 'eth0'} for d in ('2001:db8:a::9', 'fe80::9', 'fd00::9', '2002::9', '2001:db8:a:1::9', 'fec0::9')]
     + [{'ip': '2001:db8:b::9', 'mac': H1, 'dev': 'eth1'}])
case('prefsrc', [local(ip('::', '2001:db8:c::9', 17, udp('::', '2001:db8:c::9'), hl=64)), a(ip(A, '2001:db8:d::1', 17, udp(A, '2001:db8:d::1', data=b'q'), hl=1))],
     routes=[{'dst': '2001:db8:c::/64', 'via': B, 'src': RA}])
case('proxy_ndp', [{'in': 'ip', 'args': 'neigh add proxy 2001:db8:a::99 dev eth0'}, a(ns(A, '2001:db8:a::99', '2001:db8:a::99', lla(1, H0))),
                   g(snm('2001:db8:a::99'), ns(A, snm('2001:db8:a::99'), '2001:db8:a::99', lla(1, H0)), quiet_ms=40)],
     sysctl={'net.ipv6.conf.eth0.proxy_ndp': 1, 'net.ipv6.neigh.eth0.proxy_delay': 0})
case('policy_routing', [a(ip(A, '2001:db8:c::1', 17, udp(A, '2001:db8:c::1'))), a(ip('2001:db8:a::66', '2001:db8:c::1', 17, udp('2001:db8:a::66', '2001:db8:c::1')))],
     routes=[{'dst': '2001:db8:c::/64', 'via': B}, {'dst': 'default', 'type': 'prohibit', 'table': 100}],
     ip_rules=['from 2001:db8:a::66 table 100 pref 100'], neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': '2001:db8:a::66', 'mac': H0, 'dev': 'eth0'}, {'ip': B, 'mac': H1, 'dev': 'eth1'}])
case('metrics', [a(ip(A, '2001:db8:c::1', 17, udp(A, '2001:db8:c::1')))],
     routes=[{'dst': '2001:db8:c::/64', 'via': LH0, 'dev': 'eth0', 'metric': 50}, {'dst': '2001:db8:c::/64', 'via': B, 'metric': 20},
             {'dst': '2001:db8:c::/63', 'dev': 'eth0', 'metric': 1}, {'dst': '2001:db8:e::/64', 'via': B, 'pref': 'low'}])
case('multipath_listed', [], routes=[{'dst': '2001:db8:c::/64', 'nexthops': [{'via': A}, {'via': B, 'weight': 3}]},
     {'dst': '2001:db8:d::/64', 'via': A}, {'dst': '2001:db8:d::/64', 'via': B, 'append': True}, {'dst': '2001:db8:e::/64', 'via': A}, {'dst': '2001:db8:e::/64', 'dev': 'eth1', 'append': True}])
case('icmp_never_about_icmp', [a(ip(A, B, 58, icmp(A, B, 1, 0, b'\0' * 4, b'x' * 48), hl=1)), a(ip(A, B, 58, icmp(A, B, 137, 0, b'\0' * 4, b'x' * 48), hl=1)),
     a(ip(A, B, 58, b'', hl=1)), a(ip('ff02::1', B, 17, udp('ff02::1', B), hl=1)), a(ip(A, B, 17, udp(A, B, data=b'z' * 1400), hl=1))])
case('error_source', [a(ip(A, '2001:db8:c::1', 17, udp(A, '2001:db8:c::1'), hl=1)), a(ip('2001:db8:b::2', '2001:db8:c::1', 17, udp('2001:db8:b::2', '2001:db8:c::1'), hl=1))],
     routes=[{'dst': '2001:db8:c::/64', 'via': B}])
case('rate_limit', [a(UDP(hl=1)) for _ in range(30)], sysctl={'net.ipv6.icmp.ratelimit': 1000, 'net.ipv4.icmp_msgs_per_sec': 1000, 'net.ipv4.icmp_msgs_burst': 1000})
one = {'interfaces': {'eth0': {'mac': R0, 'addr': [RA + '/64']}}, 'neighbors': [{'ip': A, 'mac': H0, 'dev': 'eth0'}]}
case('mld_join', [{'in': 'ip', 'args': 'addr show', 'quiet_ms': 300}, {'in': 'ip', 'args': 'addr add %s/64 dev eth0 nodad' % T, 'quiet_ms': 200, 'at_ms': 500}, {'in': 'ip', 'args': 'addr del %s/64 dev eth0' % T, 'quiet_ms': 200}], keep_mld=True, out_from=1,
     sysctl_first={'net.ipv6.conf.default.mldv2_unsolicited_report_interval': 20}, **one)
case('mld_query', [{'in': 'ip', 'args': 'addr show', 'quiet_ms': 300}, g('ff02::1', ip(LH0, 'ff02::1', 0, ext(58, b'\5\2\0\0\1\0') + icmp(LH0, 'ff02::1', 130, 0, struct.pack('!HH', 1, 0), b'\0' * 16 + b'\2\1\0\0'), 1), quiet_ms=100, at_ms=1500)],
     keep_mld=True, out_from=1, sysctl_first={'net.ipv6.conf.default.mldv2_unsolicited_report_interval': 20}, **one)
case('address_removed', [{'in': 'ip', 'args': 'addr del %s/64 dev eth0' % RA}, a(ip(A, RA, 58, echo(A, RA))), b_(ip(B, A, 17, udp(B, A)))])
case('disable_ipv6', [a(UDP()), {'in': 'ip', 'args': 'link set eth1 mtu 1500'}, b_(ip(B, A, 17, udp(B, A)))], sysctl={'net.ipv6.conf.eth1.disable_ipv6': 1})

VH, V, VB = '02:00:00:00:0c:02', '2001:db8:c::2', '2001:db8:c::1'
def vxlan(frame, vni=5, flags=8, sp=5000, src=B, dst=RB, tc=0, zero=False, hl=60):
    u = udp(src, dst, sp, 4789, bytes([flags, 0, 0, 0]) + struct.pack('!I', vni << 8) + frame)
    return ip(src, dst, 17, u[:6] + b'\0\0' + u[8:] if zero else u, hl, tc)
def inner(p, src=VH, dst='02:00:00:00:0c:01'):
    return mac(dst) + mac(src) + b'\x86\xdd' + p
def vx(opts, name='vx0', vni=5, **kw):
    return dict({'name': name, 'mac': '02:00:00:00:0c:01', 'vni': vni, 'dstport': 4789, 'opts': opts, 'addr': [VB + '/64'],
                 'neigh': [[V, VH]]}, **kw)
FIX = 'srcport 5000 5001 local %s dev eth1 ' % RB
to_v = lambda tc=0, hl=63, data=b'hello123': a(ip(A, V, 17, udp(A, V, data=data), hl, tc))
from_v = lambda **kw: b_(vxlan(inner(ip(V, A, 17, udp(V, A), 63, kw.pop('itc', 0))), **kw))
case('vxlan_out', [to_v(), to_v(tc=1), to_v(tc=2), to_v(tc=3), to_v(tc=0xb9, hl=7), to_v(data=bytes(1300))], vxlans=[vx(FIX + 'nolearning', fdb=[[VH, B]])])
case('vxlan_out_options', [to_v(tc=0xb9, hl=7), to_v(tc=0xff)],
     vxlans=[vx(FIX + 'nolearning udp6zerocsumtx tos inherit ttl inherit', fdb=[[VH, B]])])
case('vxlan_out_ttl', [to_v(tc=0xb9)], vxlans=[vx(FIX + 'nolearning ttl 9 tos 0x20', fdb=[[VH, B]])])
case('vxlan_unreachable', [to_v()], vxlans=[vx(FIX.replace('dev eth1', '') + 'nolearning', fdb=[[VH, '2001:db8:dead::1']])])
case('vxlan_in', [from_v(), from_v(tc=3), from_v(tc=3, itc=1), from_v(tc=3, itc=2), from_v(tc=1, itc=2), from_v(tc=1, itc=1), from_v(vni=6), from_v(flags=0),
                  from_v(flags=12), from_v(zero=True), b_(vxlan(b'')), b_(vxlan(b'1234567890')), from_v(src='2001:db8:b::9'), to_v()],
     vxlans=[vx(FIX + 'learning remote 2001:db8:b::7')], neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': '2001:db8:b::9', 'mac': H1, 'dev': 'eth1'}, {'ip': B, 'mac': H1, 'dev': 'eth1'}])
case('vxlan_in_zero_checksum', [from_v(zero=True), from_v()], vxlans=[vx(FIX + 'learning udp6zerocsumrx')])
case('vxlan_both_families', [from_v(), to_v()], vxlans=[vx('nolearning local 10.9.9.9 dev eth1 srcport 5000 5001', name='vx4', addr=[]), vx(FIX + 'nolearning', fdb=[[VH, B]])])
case('vxlan_no_entry', [to_v(), a(ip(A, '2001:db8:c::3', 17, udp(A, '2001:db8:c::3')))], vxlans=[vx(FIX + 'nolearning', neigh=[[V, VH], ['2001:db8:c::3', '02:00:00:00:0c:03']], fdb=[['02:00:00:00:0c:03', B]])])
case('vxlan_flood', [to_v()], vxlans=[vx(FIX + 'nolearning', fdb=[['00:00:00:00:00:00', B], ['00:00:00:00:00:00', '2001:db8:b::9']])],
     neighbors=[{'ip': A, 'mac': H0, 'dev': 'eth0'}, {'ip': '2001:db8:b::9', 'mac': H1, 'dev': 'eth1'}, {'ip': B, 'mac': H1, 'dev': 'eth1'}])

if __name__ == '__main__':
    folder = sys.argv[1]
    only = sys.argv[2] if len(sys.argv) > 2 else ''
    os.makedirs(folder, exist_ok=True)
    for c in CASES:
        if only not in c['name']:
            continue
        try:
            r = oracle.Oracle6().run(c)
        except Exception as e:
            print('ERROR', c['name'], e)
            continue
        c2 = json.dumps(c)
        with open(os.path.join(folder, c['name'] + '.json'), 'w') as fh:
            fh.write('{"case": %s,\n"result": %s}\n' % (c2, oracle.base.dumps(r).strip()))
    print(len([c for c in CASES if only in c['name']]), 'cases')
