#!/usr/bin/python3
"""Writes the cases: ./cases.py cases; then ./oracle6.py --suite cases --results results (root)."""
import ipaddress
import json
import os
import struct
import sys

R0, R1 = "020000000001", "020000000002"
A, B, C = "02aa00000010", "02bb00000010", "02bb00000020"
MAC = {"fd00:1::10": A, "fd00:1::11": "02aa00000011", "fd00:2::10": B, "fd00:2::20": C}
BASE = {
    "interfaces": {
        "eth0": {"mac": "02:00:00:00:00:01", "addr": ["fd00:1::1/64", "10.0.1.1/24"]},
        "eth1": {"mac": "02:00:00:00:00:02", "addr": ["fd00:2::1/64", "10.0.2.1/24"]},
    },
    "neighbors": [{"ip": ip, "mac": ":".join(m[i:i + 2] for i in range(0, 12, 2)), "dev": "eth0" if ip.startswith("fd00:1:") else "eth1"}
                  for ip, m in MAC.items()],
}


def pack(a):
    return ipaddress.IPv6Address(a).packed


def csum(b):
    b += b"\0" * (len(b) & 1)
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def ip6(src, dst, proto, payload, hl=63, tc=0, fl=0, ext=b"", first=None):
    return struct.pack("!IHBB", 6 << 28 | tc << 20 | fl, len(ext) + len(payload), proto if first is None else first, hl) + pack(src) + pack(dst) + ext + payload


def with_sum(src, dst, proto, body, at, bad=False):
    b = bytearray(body)
    c = csum(pack(src) + pack(dst) + struct.pack("!II", len(b), proto) + bytes(b))
    if proto == 17 and c == 0:
        c = 0xffff
    b[at:at + 2] = struct.pack("!H", c ^ (0x1234 if bad else 0))
    return bytes(b)


FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def tcp(src, dst, sp, dp, flags="S", seq=1000, ack=0, data=b"", options=b"", bad=False, **kw):
    f = sum(FLAGS[x] for x in flags)
    body = struct.pack("!HHIIBBHHH", sp, dp, seq, ack, (20 + len(options)) // 4 << 4, f, 8192, 0, 0) + options + data
    return ip6(src, dst, 6, with_sum(src, dst, 6, body, 16, bad), **kw)


def udp(src, dst, sp, dp, data=b"hello", bad=False, zero=False, **kw):
    body = struct.pack("!HHHH", sp, dp, 8 + len(data), 0) + data
    return ip6(src, dst, 17, body if zero else with_sum(src, dst, 17, body, 6, bad), **kw)


def icmp(src, dst, typ, code=0, rest=b"\0\1\0\1", data=b"ping data", bad=False, **kw):
    return ip6(src, dst, 58, with_sum(src, dst, 58, struct.pack("!BBH", typ, code, 0) + rest + data, 2, bad), **kw)


def error(src, dst, typ, code, quoted, rest=b"\0\0\0\0", **kw):
    return icmp(src, dst, typ, code, rest, quoted[:1200], **kw)


def frag(packet, size, ident=7):
    """The fragments of a packet without extension headers."""
    proto, payload, out = packet[6], packet[40:], []
    for at in range(0, len(payload), size):
        piece = payload[at:at + size]
        more = at + size < len(payload)
        h = struct.pack("!BBHI", proto, 0, at | more, ident)
        out.append(packet[:4] + struct.pack("!HB", len(h) + len(piece), 44) + packet[7:40] + h + piece)
    return out


H = "fd00:1::10"  # a host behind eth0
S, T = "fd00:2::10", "fd00:2::20"  # servers behind eth1
RT0, RT1 = "fd00:1::1", "fd00:2::1"


def eth0(packet, src=A, dst=R0, at=0, note=""):
    return {"at_ms": at, "in": "eth0", "frame": dst + src + "86dd" + packet.hex(), "note": note}


def eth1(packet, src=B, dst=R1, at=0, note=""):
    return {"at_ms": at, "in": "eth1", "frame": dst + src + "86dd" + packet.hex(), "note": note}


def local(packet):
    return {"at_ms": 0, "in": "local", "frame": packet.hex(), "note": ""}


CASES = {}


def case(name, packets, **kw):
    if "nft" in kw:  # nft wants the line to end before a block does
        kw["nft"] = kw["nft"].replace(" }", "\n}")
    CASES[name] = {"name": name, **json.loads(json.dumps(BASE)), **kw, "packets": packets}


def hbh(nxt):
    return bytes([nxt, 0, 1, 4, 0, 0, 0, 0])


def dstopt(nxt, body=bytes([1, 4, 0, 0, 0, 0])):
    return bytes([nxt, (len(body) + 2) // 8 - 1]) + body


def rthdr(nxt, typ=2, left=0):
    return bytes([nxt, 2, typ, left]) + b"\0\0\0\0" + pack("fd00:9::1")


def session(src, dst, sp, dp, back_src=None, back_dst=None, back_port=None, back_to=None):
    """Handshake, data and end between eth0 and eth1; the answers as the server sees the client."""
    bs, bd, bp, bt = back_src or dst, back_dst or src, back_port or dp, back_to or sp
    return [
        eth0(tcp(src, dst, sp, dp, "S", 1000)), eth1(tcp(bs, bd, bp, bt, "SA", 5000, 1001)), eth0(tcp(src, dst, sp, dp, "A", 1001, 5001)),
        eth0(tcp(src, dst, sp, dp, "PA", 1001, 5001, b"GET /")), eth1(tcp(bs, bd, bp, bt, "PA", 5001, 1006, b"200 OK")),
        eth0(tcp(src, dst, sp, dp, "FA", 1006, 5007)), eth1(tcp(bs, bd, bp, bt, "FA", 5007, 1007)), eth0(tcp(src, dst, sp, dp, "A", 1007, 5008)),
    ]


NAT = "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n%s\nCOMMIT\n"
FILTER = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n%s\nCOMMIT\n"
STATES = FILTER % "\n".join("-A %s -m conntrack --ctstate %s" % (c, s) for c in ("FORWARD", "INPUT", "OUTPUT")
                            for s in ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"))


def rules(chain, *lines):
    return "\n".join("-A %s %s" % (chain, l) for l in lines)


case("fwd_plain", [eth0(udp(H, S, 1234, 53)), eth1(udp(S, H, 53, 1234)), eth0(tcp(H, S, 1, 2)), eth0(icmp(H, S, 128))])
case("filter_addresses", [eth0(udp(H, S, 1, 2)), eth0(udp("fd00:1::11", S, 1, 2), MAC["fd00:1::11"]), eth0(udp(H, T, 1, 2))],
     ip6tables=FILTER % rules("FORWARD", "-s fd00:1::10 -d fd00:2::10", "-s fd00:1::/64", "! -s fd00:1::10 -j DROP", "-d fd00:2::/ffff:ffff:ffff:ffff::",
                              "-d ::20/::ffff -j DROP"))
case("filter_protocols", [eth0(udp(H, S, 1, 53)), eth0(tcp(H, S, 1, 80)), eth0(icmp(H, S, 128)), eth0(ip6(H, S, 59, b"")), eth0(ip6(H, S, 253, b"abc"))],
     ip6tables=FILTER % rules("FORWARD", "-p udp", "-p tcp --dport 80", "-p ipv6-icmp", "! -p udp", "-p 253", "-p udp --dport 1:100 -j DROP"))
case("reject_types", [eth0(udp(H, S, 1, p, tc=0xb8, fl=0x12345)) for p in range(1, 8)],
     ip6tables=FILTER % rules("FORWARD", *["-p udp --dport %d -j REJECT --reject-with %s" % (i + 1, t) for i, t in enumerate(
         ["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable", "icmp6-policy-fail", "icmp6-reject-route"])]))
case("reject_tcp_reset", [eth0(tcp(H, S, 1000, 80)), eth0(tcp(H, S, 1001, 80, "A", 5, 77)), eth0(tcp(H, S, 1002, 80, "R", 5)), eth0(tcp(H, RT0, 1003, 81)),
                          eth0(tcp(H, S, 1004, 80, "PA", 9, 3, b"abc", tc=8)), eth0(tcp(H, S, 1005, 80, "FS", 9, 0, b"abcd"))],
     ip6tables=FILTER % (rules("FORWARD", "-p tcp -j REJECT --reject-with tcp-reset") + "\n" + rules("INPUT", "-p tcp -j REJECT --reject-with tcp-reset")))
case("reject_input", [eth0(udp(H, RT0, 1, 9)), eth0(udp(H, RT1, 1, 9)), eth0(icmp(H, RT0, 128)), eth0(ip6(H, RT0, 59, b""))],
     ip6tables=FILTER % rules("INPUT", "-j REJECT --reject-with icmp6-adm-prohibited"))
case("reject_bad_csum", [eth0(udp(H, S, 1, 2, bad=True)), eth0(tcp(H, S, 1, 2, bad=True)), eth0(icmp(H, S, 128, bad=True)), eth0(udp(H, S, 1, 2, zero=True)),
                         eth0(ip6(H, S, 253, b"abcdef")), eth0(ip6(H, S, 50, b"abcdefgh")), eth0(icmp(H, S, 1, 0))],
     ip6tables=FILTER % rules("FORWARD", "-j REJECT"))
case("reject_nat_error", [eth0(udp(H, "fd00:2::99", 5000, 53))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:2::99 -p udp -j DNAT --to-destination [fd00:2::10]:5353") + FILTER % rules("FORWARD", "-d fd00:2::10 -j REJECT"))
case("dnat_session", session(H, "fd00:5::1", 40000, 80, S, H, 8080), ct_trace=True,
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -p tcp --dport 80 -j DNAT --to-destination [fd00:2::10]:8080") + STATES)
case("dnat_address_only", [eth0(udp(H, "fd00:5::1", 1, 53)), eth1(udp(S, H, 53, 1)), eth0(icmp(H, "fd00:5::1", 128)), eth1(icmp(S, H, 129))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -j DNAT --to-destination fd00:2::10") + STATES)
case("dnat_port_range", [eth0(tcp(H, "fd00:5::1", 40000 + i, 81 + i)) for i in range(4)],
     ip6tables=NAT % rules("PREROUTING", "-p tcp -j DNAT --to-destination [fd00:2::10]:82-84"))
case("dnat_address_range", [eth0(udp("fd00:1::%x" % (0x100 + i), "fd00:5::1", 100 + i, 53)) for i in range(8)],
     ip6tables=NAT % rules("PREROUTING", "-j DNAT --to-destination fd00:2::10-fd00:2::2f"))
case("dnat_address_range_wide", [eth0(udp("fd00:1::%x" % (0x100 + i), "fd00:5::%x" % i, 100, 53)) for i in range(8)],
     ip6tables=NAT % rules("PREROUTING", "-j DNAT --to-destination fd00:2::10-fd00:2:0:0:5:6:7:8 --persistent"))
case("snat_session", session(H, S, 40000, 80, S, "fd00:2::77", 80), ip6tables=NAT % rules("POSTROUTING", "-o eth1 -j SNAT --to-source fd00:2::77") + STATES)
case("snat_address_range", [eth0(udp("fd00:1::%x" % (0x100 + i), S, 100 + i, 53)) for i in range(8)],
     ip6tables=NAT % rules("POSTROUTING", "-j SNAT --to-source fd00:2::40-fd00:2::4f"))
case("snat_port", [eth0(udp(H, S, 100, 53)), eth1(udp(S, "fd00:2::77", 53, 4000)), eth0(udp("fd00:1::11", S, 100, 53), MAC["fd00:1::11"])],
     ip6tables=NAT % rules("POSTROUTING", "-p udp -j SNAT --to-source [fd00:2::77]:4000"))
case("snat_clash", [eth0(udp(H, S, 5000, 53)), eth0(udp("fd00:1::11", S, 5000, 53), MAC["fd00:1::11"]), eth1(udp(S, "fd00:2::77", 53, 5000))],
     ip6tables=NAT % rules("POSTROUTING", "-o eth1 -j SNAT --to-source fd00:2::77"), any_port={"addr": "fd00:2::77", "range": [1024, 65535]}, known_ports=[5000, 53])
case("masquerade", session(H, S, 40000, 80, S, RT1, 80), ip6tables=NAT % rules("POSTROUTING", "-o eth1 -j MASQUERADE") + STATES)
case("masquerade_icmp", [eth0(icmp(H, S, 128)), eth1(icmp(S, RT1, 129)), eth0(icmp(H, S, 128, rest=b"\0\2\0\1")), eth1(error(S, RT1, 1, 4, icmp(RT1, S, 128, rest=b"\0\2\0\1")))],
     ip6tables=NAT % rules("POSTROUTING", "-o eth1 -j MASQUERADE") + STATES)
case("redirect_local", [eth0(udp(H, S, 1, 53)), eth0(tcp(H, "fd00:5::1", 1, 80))],
     ip6tables=NAT % rules("PREROUTING", "-p udp -j REDIRECT --to-ports 5353", "-p tcp -j REDIRECT") + STATES)
case("netmap", [eth0(udp(H, "fd00:6::10", 1, 53)), eth1(udp(S, H, 53, 1)), eth0(icmp(H, "fd00:6::20", 128))],
     ip6tables=NAT % (rules("PREROUTING", "-d fd00:6::/64 -j NETMAP --to fd00:2::/64") + "\n" + rules("POSTROUTING", "-s fd00:1::/64 -j NETMAP --to fd00:7::/64")))
case("npt", [eth0(udp(H, S, 1, 53)), eth1(udp(S, "2001:db8:1:d26e::10", 53, 1)), eth0(icmp(H, S, 128)), eth1(udp(S, "2001:db8:1::10", 53, 1)),
             eth1(error(S, "2001:db8:1::10", 1, 4, udp("2001:db8:1::10", S, 1, 53)))],
     ip6tables="*mangle\n-A PREROUTING -i eth1 -d 2001:db8:1::/48 -j DNPT --src-pfx 2001:db8:1::/64 --dst-pfx fd00:1::/64\n"
               "-A POSTROUTING -o eth1 -s fd00:1::/64 -j SNPT --src-pfx fd00:1::/64 --dst-pfx 2001:db8:1::/64\nCOMMIT\n")
case("npt_48", [eth0(udp(H, S, 1, 53)), eth0(tcp("fd00:1::ffff:1", S, 1, 53))],
     ip6tables="*mangle\n-A POSTROUTING -o eth1 -j SNPT --src-pfx fd00:1::/32 --dst-pfx 2001:db8:77::/48\nCOMMIT\n")
case("ct_states", [eth0(udp(H, S, 1, 53)), eth1(udp(S, H, 53, 1)), eth0(udp(H, S, 1, 53)), eth0(tcp(H, S, 5, 6, "SA")), eth0(tcp(H, S, 5, 7, "A")), eth0(icmp(H, S, 128)),
                   eth1(icmp(S, H, 129)), eth1(icmp(S, H, 129, rest=b"\0\7\0\1")), eth0(icmp(H, S, 150)), eth0(udp(H, S, 3, 4, bad=True)), eth0(ip6(H, S, 59, b"")),
                   eth0(ip6(H, S, 253, b"xx"))], ip6tables=STATES, ct_trace=True)
case("ct_error_related", [eth0(udp(H, S, 1, 53)), eth1(error(S, H, 1, 4, udp(H, S, 1, 53))), eth1(error("fd00:2::99", H, 3, 0, udp(H, S, 1, 53))),
                          eth1(error(S, H, 1, 4, udp(H, S, 9, 53))), eth1(error(S, H, 2, 0, udp(H, S, 1, 53), rest=b"\0\0\5\0")),
                          eth1(error(S, H, 1, 4, udp(H, S, 1, 53), bad=True)), eth1(error(S, H, 4, 1, udp(H, S, 1, 53)[:44])),
                          eth1(error(S, H, 1, 4, udp(H, S, 1, 53)[:41]))], ip6tables=STATES)
case("error_dnat", [eth0(udp(H, "fd00:5::1", 1000, 53)), eth1(error(S, H, 1, 4, udp(H, S, 1000, 5353))), eth1(error("fd00:2::99", H, 3, 0, udp(H, S, 1000, 5353)))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -p udp -j DNAT --to-destination [fd00:2::10]:5353") + STATES)
case("error_snat", [eth0(tcp(H, S, 1000, 80)), eth1(error(S, RT1, 1, 1, tcp(RT1, S, 1000, 80))), eth1(error("fd00:2::99", RT1, 2, 0, tcp(RT1, S, 1000, 80), rest=b"\0\0\5\0"))],
     ip6tables=NAT % rules("POSTROUTING", "-o eth1 -j MASQUERADE") + STATES)
case("hop_limit_nat", [eth0(udp(H, "fd00:5::1", 1000, 53, hl=1)), eth0(udp(H, "fd00:5::1", 1000, 53, hl=2))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -p udp -j DNAT --to-destination [fd00:2::10]:5353") + STATES)
case("too_big_nat", [eth0(udp(H, "fd00:5::1", 1000, 53, b"x" * 1400))], interfaces={**BASE["interfaces"], "eth1": {**BASE["interfaces"]["eth1"], "mtu": 1300}},
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -p udp -j DNAT --to-destination [fd00:2::10]:5353") + STATES)
case("ndp_untracked", [eth0(icmp(H, "ff02::1:ff00:1", 135, 0, b"\0\0\0\0", pack(RT0) + bytes([1, 1]) + bytes.fromhex(A), hl=255), A, "3333ff000001"),
                       eth0(icmp(H, RT0, 136, 0, b"\x60\0\0\0", pack(H) + bytes([2, 1]) + bytes.fromhex(A), hl=255)),
                       eth0(icmp("fe80::5", "ff02::2", 133, 0, b"\0\0\0\0", b"", hl=255), A, "333300000002"),
                       eth0(icmp("fe80::5", "ff02::16", 143, 0, b"\0\0\0\0", b"", hl=1, ext=bytes([58, 0, 5, 2, 0, 0, 1, 0]), first=0), A, "333300000016"),
                       eth0(icmp(H, RT0, 128))], ip6tables=STATES)
case("icmp6_types", [eth0(icmp(H, S, t, c)) for t, c in [(128, 0), (128, 3), (129, 0), (1, 0), (1, 4), (2, 0), (3, 1), (4, 2), (137, 0), (200, 7)]]
     + [eth0(ip6(H, S, 58, b"\x80\0\0")), eth0(ip6(H, S, 58, b""))],
     ip6tables=FILTER % rules("FORWARD", *["-p icmpv6 --icmpv6-type %s" % t for t in (
         "echo-request", "128/3", "echo-reply", "destination-unreachable", "port-unreachable", "packet-too-big", "ttl-zero-during-reassembly", "unknown-option",
         "redirect", "200/7")], "-p icmpv6 ! --icmpv6-type ping"))
EXT = [eth0(udp(H, S, 1, 53, ext=hbh(17), first=0)), eth0(udp(H, S, 1, 53, ext=dstopt(17), first=60)), eth0(udp(H, S, 1, 53, ext=rthdr(17), first=43)),
       eth0(udp(H, S, 1, 53, ext=hbh(60) + dstopt(43) + rthdr(17), first=0)), eth0(udp(H, S, 1, 53, ext=bytes([17, 0, 0, 0, 0, 0, 0, 9]), first=44)),
       eth0(udp(H, S, 1, 53, ext=bytes([17, 4, 0, 0]) + struct.pack("!II", 77, 1) + b"\0" * 12, first=51)), eth0(udp(H, S, 1, 53)), eth0(ip6(H, S, 59, b"", ext=dstopt(59), first=60)),
       eth0(ip6(H, S, 50, b"abcdefgh", ext=dstopt(50), first=60))]
case("ext_protocol", EXT, ip6tables=FILTER % rules("FORWARD", "-p udp --dport 53", "-p tcp", "! -p udp", "-p ipv6-nonxt", "-p esp"))
case("ext_headers", EXT, ip6tables=FILTER % rules(
    "FORWARD", "-m hbh", "-m hbh --hbh-len 8", "-m hbh ! --hbh-len 8", "-m hbh --hbh-opts 1:4", "-m hbh --hbh-opts 5", "-m dst", "-m dst --dst-opts 1:4", "-m dst --dst-len 16",
    "-m rt", "-m rt --rt-type 2", "-m rt ! --rt-type 2", "-m rt --rt-segsleft 0", "-m rt --rt-len 24", "-m frag", "-m frag --fragfirst", "-m frag --fragid 9",
    "-m frag --fraglast", "-m frag --fragmore", "-m ah --ahspi 77", "-m ah ! --ahspi 77", "-m ah --ahlen 24", "-m ah --ahlen 20", "-m ah --ahres", "-m ipv6header --header hop",
    "-m ipv6header --header hop --soft", "-m ipv6header --header prot", "-m ipv6header ! --header prot", "-m ipv6header --header dst,prot --soft",
    "-m ipv6header --header hop,dst,route,prot", "-m ipv6header ! --header hop --soft", "-m ipv6header --header frag,prot", "-m ipv6header --header none --soft",
    "-m ipv6header --header esp --soft"))
case("ext_truncated", [eth0(ip6(H, S, 17, b"", ext=bytes([17]), first=60)), eth0(ip6(H, S, 17, b"", ext=bytes([17, 3, 1, 2, 0, 0, 0, 0]), first=60)), eth0(ip6(H, S, 17, b"\0\1\0\x35")),
                       eth0(ip6(H, S, 6, b"\0\1\0\x50\0\0")), eth0(ip6(H, S, 44, b"\x11\0\0"))],
     ip6tables=FILTER % rules("FORWARD", "-m dst", "-m frag", "-p udp", "-p udp --dport 53", "-p tcp --dport 80", "-s fd00:1::10"))
BIG = udp(H, S, 1000, 53, bytes(i & 255 for i in range(2000)))
case("frag_plain", [eth0(f) for f in frag(BIG, 1000)] + [eth0(f) for f in frag(tcp(H, S, 1, 80, data=b"z" * 100), 8)[:2]],
     ip6tables=FILTER % rules("FORWARD", "-p udp", "-p udp --dport 53", "-p tcp --dport 80", "-m frag --fragfirst", "-m frag --fragmore", "-m frag --fraglast", "-m frag --fragid 7"))
case("frag_conntrack", [eth0(f) for f in frag(BIG, 1000)] + [eth0(f) for f in reversed(frag(udp(H, S, 1001, 53, b"y" * 1500), 800, 8))], ip6tables=STATES)
case("frag_nat", [eth0(f) for f in frag(udp(H, "fd00:5::1", 1000, 53, bytes(i & 255 for i in range(2000))), 1000)] + [eth1(f) for f in frag(udp(S, H, 5353, 1000, b"q" * 1800), 1200, 9)],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -p udp -j DNAT --to-destination [fd00:2::10]:5353") + STATES)
case("hl_match_target", [eth0(udp(H, S, 1, p, hl=h)) for p, h in ((1, 63), (2, 5), (3, 250), (4, 2))],
     ip6tables="*mangle\n-A PREROUTING -p udp --dport 1 -j HL --hl-set 9\n-A PREROUTING -p udp --dport 2 -j HL --hl-inc 3\n-A PREROUTING -p udp --dport 3 -j HL --hl-inc 20\n"
               "-A FORWARD -p udp --dport 4 -j HL --hl-dec 5\nCOMMIT\n" + FILTER % rules("FORWARD", "-m hl --hl-eq 8", "-m hl ! --hl-eq 8", "-m hl --hl-lt 8", "-m hl --hl-gt 8"))
case("tos_dscp", [eth0(udp(H, S, 1, p, tc=t, fl=0xabcde)) for p, t in ((1, 0), (2, 0x28), (3, 0xff), (4, 1))],
     ip6tables="*mangle\n-A PREROUTING -p udp --dport 1 -j DSCP --set-dscp 10\n-A PREROUTING -p udp --dport 2 -j TOS --set-tos 0x10/0x3f\n-A FORWARD -p udp --dport 3 -j TOS --and-tos 0x0f\n"
               "COMMIT\n" + FILTER % rules("FORWARD", "-m dscp --dscp 10", "-m tos --tos 0x10/0x3f", "-m ecn --ecn-ip-ect 1", "-m ecn --ecn-ip-ect 3", "-m ecn ! --ecn-ip-ect 0"))
case("tcpmss", [eth0(tcp(H, S, 1, 80, options=bytes([2, 4, 5, 0xb4]))), eth0(tcp(H, S, 2, 80)), eth0(tcp(H, S, 3, 81, options=bytes([1, 1, 1, 1, 2, 4, 5, 0xb4]))), eth0(tcp(H, S, 4, 81))],
     interfaces={**BASE["interfaces"], "eth1": {**BASE["interfaces"]["eth1"], "mtu": 1300}},
     ip6tables="*mangle\n-A FORWARD -p tcp --dport 80 -m tcp --syn -j TCPMSS --clamp-mss-to-pmtu\n-A FORWARD -p tcp --dport 81 -m tcp --syn -m tcpmss --mss 1000:2000 -j TCPMSS --set-mss 900\nCOMMIT\n")
case("ranges_ports", [eth0(udp("fd00:1::%x" % i, S, 100 + i, 50 + i)) for i in range(5, 12)],
     ip6tables=FILTER % rules("FORWARD", "-m iprange --src-range fd00:1::6-fd00:1::9", "-m iprange ! --src-range fd00:1::6-fd00:1::9", "-m iprange --dst-range ::-fd00:2::f",
                              "-p udp -m multiport --dports 55,57:58", "-p udp -m multiport --sports 106,161 -j DROP", "-m length --length 53", "-m length --length 54:60"))
case("addrtype", [eth0(udp(H, S, 1, 9)), eth0(udp(H, RT0, 1, 9)), eth0(udp(H, RT1, 1, 9)), eth0(udp(H, "ff02::1", 1, 9), A, "333300000001"), eth0(udp(H, "fd00:9::1", 1, 9)),
                  eth0(udp("::1", S, 1, 9)), eth0(udp("::", RT0, 1, 9))],
     ip6tables="*mangle\n" + rules("PREROUTING", *["-m addrtype %s" % x for x in (
         "--dst-type LOCAL", "! --dst-type LOCAL", "--dst-type UNICAST", "--dst-type MULTICAST", "--dst-type UNREACHABLE", "--dst-type ANYCAST", "--src-type LOCAL", "--src-type UNSPEC",
         "--dst-type LOCAL --limit-iface-in", "--src-type UNICAST --dst-type LOCAL")]) + "\nCOMMIT\n")
case("rpfilter", [eth0(udp(H, S, 1, 9)), eth0(udp(S, T, 1, 9)), eth0(udp("fd00:9::1", S, 1, 9)), eth0(udp(RT1, S, 1, 9)), eth0(udp("fe80::9", RT0, 1, 9)), eth0(udp("::", RT0, 1, 9))],
     ip6tables="*raw\n" + rules("PREROUTING", "-m rpfilter", "-m rpfilter --loose", "-m rpfilter --invert", "-m rpfilter --accept-local", "-m rpfilter --loose --accept-local") + "\nCOMMIT\n")
case("hashlimit", [eth0(udp("fd00:1::%x" % (1 + i % 3), S, 100, 50)) for i in range(12)] + [eth0(udp("fd00:1:0:0:9::%x" % i, S, 100, 50)) for i in range(4)],
     ip6tables=FILTER % rules("FORWARD", "-m hashlimit --hashlimit-upto 1/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name a",
                              "-m hashlimit --hashlimit-above 1/min --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-srcmask 64 --hashlimit-name b",
                              "-m hashlimit --hashlimit-upto 1/min --hashlimit-burst 1 --hashlimit-mode srcip,dstport --hashlimit-srcmask 80 --hashlimit-name c"))
case("recent", [eth0(udp("fd00:1::%x" % (1 + i % 2), S, 100, 50 + i % 3)) for i in range(9)],
     ip6tables=FILTER % rules("FORWARD", "-p udp --dport 50 -m recent --set --name x", "-m recent --rcheck --name x", "-m recent --update --hitcount 2 --name x", "-m recent --rcheck --rdest --name x",
                              "-p udp --dport 52 -m recent --remove --name x", "-m recent --set --name y --mask ffff:ffff::", "-m recent ! --rcheck --name x"))
case("connlimit", [eth0(tcp(H, S, 100 + i, 80)) for i in range(4)] + [eth0(tcp("fd00:1::11", S, 100, 80), MAC["fd00:1::11"])],
     ip6tables=FILTER % rules("FORWARD", "-p tcp -m connlimit --connlimit-above 2", "-p tcp -m connlimit --connlimit-above 3 --connlimit-mask 64 -j REJECT --reject-with tcp-reset",
                              "-p tcp -m connlimit --connlimit-upto 1 --connlimit-daddr"))
case("marks", [eth0(udp(H, S, 1, 53)), eth1(udp(S, H, 53, 1)), eth0(udp(H, S, 2, 54))],
     ip6tables="*mangle\n-A PREROUTING -j CONNMARK --restore-mark\n-A PREROUTING -p udp --dport 53 -j MARK --set-xmark 0x7/0xff\n-A PREROUTING -j CONNMARK --save-mark\nCOMMIT\n"
               + FILTER % rules("FORWARD", "-m mark --mark 7", "-m connmark --mark 7", "-m connmark ! --mark 7"))
case("notrack", [eth0(udp(H, S, 1, 53)), eth1(udp(S, H, 53, 1)), eth0(udp(H, S, 1, 54))],
     ip6tables="*raw\n-A PREROUTING -p udp --dport 53 -j CT --notrack\n-A PREROUTING -p udp --sport 53 -j NOTRACK\n-A PREROUTING -p udp --dport 54 -j CT --zone 4\nCOMMIT\n" + STATES)
case("ct_match", [eth0(udp(H, "fd00:5::1", 1000, 53)), eth1(udp(S, H, 53, 1000))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -j DNAT --to-destination fd00:2::10") + FILTER % rules("FORWARD", *["-m conntrack %s" % x for x in (
         "--ctstate DNAT", "--ctorigsrc fd00:1::10", "--ctorigdst fd00:5::/64", "! --ctorigdst fd00:5::1", "--ctreplsrc fd00:2::10", "--ctrepldst fd00:1::/64 --ctdir REPLY",
         "--ctorigdstport 53", "--ctproto 17", "--ctstatus SEEN_REPLY")]))
case("local_out", [local(icmp(RT1, S, 128, hl=64)), local(udp(RT1, S, 1000, 53, hl=64)), local(udp(RT0, "fd00:5::1", 1001, 53, hl=64)), eth1(udp(S, RT1, 53, 1000)), eth1(udp(S, RT1, 53, 1001))],
     ip6tables=NAT % rules("OUTPUT", "-d fd00:5::1 -p udp -j DNAT --to-destination [fd00:2::10]:53") + STATES,
     routes=[{"dst": "fd00:5::/64", "via": "fd00:2::20", "dev": "eth1"}])
case("local_reroute", [local(udp(RT1, S, 1000, 53, hl=64)), local(udp(RT1, T, 1000, 54, hl=64))], ip_rules=["-6 fwmark 5 lookup 100"],
     routes=[{"dst": "fd00:2::10/128", "via": "fd00:1::10", "dev": "eth0", "table": 100}],
     ip6tables="*mangle\n-A OUTPUT -p udp --dport 53 -j MARK --set-mark 5\nCOMMIT\n")
case("tee", [eth0(udp(H, S, 1, 53)), eth0(tcp(H, S, 1, 80))], ip6tables="*mangle\n-A PREROUTING -p udp -j TEE --gateway fd00:2::20\nCOMMIT\n")
case("eui64", [eth0(udp("fd00:1::aa:ff:fe00:10", S, 1, 53)), eth0(udp(H, S, 1, 53)), eth0(udp("fe80::aa:ff:fe00:10", RT0, 1, 53))],
     ip6tables="*mangle\n-A PREROUTING -m eui64\nCOMMIT\n")
case("set_match", [eth0(udp(H, S, 1, 53)), eth0(udp("fd00:1::11", S, 1, 54), MAC["fd00:1::11"]), eth0(tcp(H, T, 5, 80)), eth0(icmp(H, T, 128)), eth0(udp("fd00:1:0:0:7::9", T, 1, 53))],
     ipset="create a hash:ip family inet6\nadd a fd00:1::10\ncreate n hash:net family inet6\nadd n fd00:1::/64\nadd n fd00:1:0:0:7::/80 nomatch\n"
           "create p hash:ip,port family inet6\nadd p fd00:2::10,udp:53\nadd p fd00:2::20,tcp:80\nadd p fd00:2::20,icmpv6:128/0\n"
           "create q hash:net,port family inet6\nadd q fd00:2::/64,udp:53\ncreate i hash:net,iface family inet6\nadd i fd00:1::/64,eth0\ncreate l list:set\nadd l a\n",
     ip6tables=FILTER % rules("FORWARD", "-m set --match-set a src", "-m set ! --match-set a src", "-m set --match-set n src", "-m set --match-set p dst,dst", "-m set --match-set q dst,dst",
                              "-m set --match-set i src,src", "-m set --match-set l src"))
case("set_target", [eth0(udp(H, S, 1, 53)), eth0(udp("fd00:1::11", T, 1, 54), MAC["fd00:1::11"]), eth0(udp("fd00:1::11", S, 1, 55), MAC["fd00:1::11"])], ipset_dump=True,
     ipset="create a hash:ip family inet6\ncreate n hash:net,port family inet6\n",
     ip6tables=FILTER % rules("FORWARD", "-p udp --dport 53:54 -j SET --add-set a src", "-j SET --add-set n dst,dst", "-p udp --dport 55 -j SET --del-set a src"))
case("frag_reject", [eth0(f) for f in frag(BIG, 1000)], ip6tables=STATES.replace("COMMIT", "-A FORWARD -p udp -j REJECT\nCOMMIT"))
case("both_families", [eth0(udp(H, S, 1, 53)), {"at_ms": 0, "in": "eth0", "note": "", "frame": R0 + A + "0800" + "4500002100010000" + "3f11" + "0000" + "0a00010a" + "0a00020a" + "00010035000d0000" + "68656c6c6f"}],
     iptables="*filter\n-A FORWARD -p udp\nCOMMIT\n", ip6tables=FILTER % rules("FORWARD", "-p udp"))
INET = """table inet t {
  set hosts6 { type ipv6_addr; flags interval; elements = { fd00:1::/64, fd00:2::20 } }
  set hosts4 { type ipv4_addr; elements = { 10.0.1.10 } }
  chain forward { type filter hook forward priority filter; policy accept;
    ip6 saddr @hosts6 counter
    ip saddr @hosts4 counter
    ip6 daddr fd00:2::20 counter drop
    meta nfproto ipv6 counter
    meta nfproto ipv4 counter
    meta l4proto udp counter
    udp dport 53 counter
    tcp dport { 80, 443 } counter
    icmpv6 type echo-request counter
    ct state new counter
    ct state established counter
    ip6 hoplimit 62 counter
    meta length > 60 counter
    ct original ip6 saddr fd00:1::10 counter
    ip6 saddr . udp dport { fd00:1::10 . 53 } counter
    ip6 daddr vmap { fd00:2::10 : jump sub, fd00:2::20 : drop }
  }
  chain sub { counter return }
}"""
case("nft_inet_filter", [eth0(udp(H, S, 1, 53)), eth0(udp("fd00:3::1", S, 1, 54)), eth0(tcp(H, T, 1, 80)), eth0(tcp(H, S, 1, 443)), eth0(icmp(H, S, 128)), eth1(udp(S, H, 53, 1)),
                         {"at_ms": 0, "in": "eth0", "note": "", "frame": R0 + A + "0800" + "4500002100010000" + "3f116bb8".replace("6bb8", "63b7") + "0a00010a" + "0a00020a" + "00010035000d0000" + "68656c6c6f"}],
     nft=INET)
case("nft_ip6_nat", session(H, "fd00:5::1", 40000, 80, S, RT1, 8080),
     nft="""table ip6 n {
  chain pre { type nat hook prerouting priority dstnat; ip6 daddr fd00:5::1 tcp dport 80 counter dnat to [fd00:2::10]:8080; }
  chain post { type nat hook postrouting priority srcnat; oifname "eth1" counter masquerade; }
}""")
case("nft_inet_nat", [eth0(udp(H, "fd00:5::1", 1000, 53)), eth0(tcp(H, "fd00:5::1", 1000, 80)), eth0(udp(H, RT0, 1, 99)), eth0(udp("fd00:1::11", S, 7, 8), MAC["fd00:1::11"])],
     nft="""table inet n {
  map ports { type inet_proto . inet_service : ipv6_addr . inet_service; elements = { udp . 53 : fd00:2::10 . 5353 } }
  chain pre { type nat hook prerouting priority dstnat;
    ip6 daddr fd00:5::1 counter dnat ip6 to meta l4proto . th dport map @ports
    tcp dport 80 counter dnat ip6 to fd00:2::20
    udp dport 99 counter redirect to :9999 }
  chain post { type nat hook postrouting priority srcnat;
    ip6 saddr fd00:1::11 counter snat ip6 to fd00:2::77 }
}""")
case("nft_reject", [eth0(udp(H, S, 1, p)) for p in range(1, 7)] + [eth0(tcp(H, S, 5, 80)), eth0(tcp(H, S, 6, 81))],
     nft="""table inet r { chain forward { type filter hook forward priority 0;
  udp dport 1 counter reject
  udp dport 2 counter reject with icmpv6 type no-route
  udp dport 3 counter reject with icmpv6 type admin-prohibited
  udp dport 4 counter reject with icmpx type host-unreachable
  udp dport 5 counter reject with icmpx type admin-prohibited
  udp dport 6 counter reject with icmpv6 type policy-fail
  tcp dport 80 counter reject with tcp reset
  tcp dport 81 counter reject } }""")
case("nft_exthdr", EXT, nft="""table ip6 e { chain forward { type filter hook forward priority 0;
  exthdr hbh exists counter
  exthdr dst exists counter
  exthdr rt exists counter
  exthdr frag exists counter
  exthdr rt missing counter
  rt type 2 counter
  rt seg-left 0 counter
  frag id 9 counter
  hbh hdrlength 0 counter
  dst nexthdr 17 counter
  ip6 nexthdr udp counter
  meta l4proto udp counter
  udp dport 53 counter
  ip6 flowlabel 0 counter
  ip6 length > 20 counter
  ip6 dscp cs0 counter
  ip6 version 6 counter } }""")
case("nft_fib", [eth0(udp(H, S, 1, 9)), eth0(udp(H, RT0, 1, 9)), eth0(udp(S, T, 1, 9)), eth0(udp("fd00:9::1", S, 1, 9)), eth0(udp(H, "ff02::1", 1, 9), A, "333300000001")],
     nft="""table inet f { chain pre { type filter hook prerouting priority raw;
  fib daddr type local counter
  fib daddr type unicast counter
  fib daddr type multicast counter
  fib saddr type local counter
  fib saddr . iif oif missing counter
  fib saddr . iif oif exists counter
  fib saddr oif "eth0" counter
  fib daddr . iif type local counter
  fib daddr oifname "eth1" counter } }""")
case("nft_icmpv6", [eth0(icmp(H, S, t, c)) for t, c in [(128, 0), (129, 0), (1, 4), (2, 0), (135, 0), (200, 3)]] + [eth0(icmp(H, S, 128, rest=b"\0\x2a\0\5"))],
     nft="""table ip6 i { chain forward { type filter hook forward priority 0;
  icmpv6 type { echo-request, echo-reply } counter
  icmpv6 type destination-unreachable icmpv6 code port-unreachable counter
  icmpv6 type packet-too-big counter
  icmpv6 type nd-neighbor-solicit counter drop
  icmpv6 id 42 counter
  icmpv6 sequence 5 counter
  ip6 nexthdr icmpv6 counter } }""")
case("nft_payload_set", [eth0(udp(H, S, 1, 1)), eth0(udp(H, S, 1, 2)), eth0(tcp(H, S, 1, 3)), eth0(udp(H, S, 1, 4))],
     nft="""table ip6 p { chain forward { type filter hook forward priority 0;
  udp dport 1 ip6 hoplimit set 9 counter
  udp dport 2 ip6 dscp set af11 counter
  tcp dport 3 tcp dport set 333 counter
  udp dport 4 ip6 daddr set fd00:2::20 counter } }""")
case("nft_ct_zone_mark", [eth0(udp(H, S, 1, 53)), eth1(udp(S, H, 53, 1))],
     nft="""table inet c { chain pre { type filter hook prerouting priority raw; udp dport 99 notrack }
  chain forward { type filter hook forward priority 0; ct state new ct mark set 5 counter
  ct mark 5 counter
  ct direction reply counter
  ct l3proto ipv6 counter
  ct reply ip6 saddr fd00:2::10 counter
  ct status dnat counter } }""")
case("nft_and_ip6tables", [eth0(udp(H, S, 1, 53)), eth0(udp(H, "fd00:5::1", 2, 53))],
     ip6tables=NAT % rules("PREROUTING", "-d fd00:5::1 -j DNAT --to-destination fd00:2::10") + FILTER % rules("FORWARD", "-p udp"),
     nft="""table inet b { chain first { type filter hook forward priority -5; counter }
  chain last { type filter hook forward priority 5; udp sport 2 counter drop } }""")
case("queue_bypass", [eth0(udp(H, S, 1, 53)), eth0(udp(H, S, 1, 54)), eth0(udp(H, S, 1, 55)), eth0(udp(H, S, 1, 56)), eth1(udp(S, H, 53, 1))],
     ip6tables=FILTER % rules("FORWARD", "-p udp --dport 53 -j NFQUEUE --queue-num 3 --queue-bypass", "-p udp --dport 54 -j NFQUEUE --queue-num 3",
                              "-p udp", "-p udp --sport 53 -m conntrack --ctstate ESTABLISHED"),
     nft="""table inet q { chain before { type filter hook forward priority -5; counter }
  chain after { type filter hook forward priority 5; counter } }""")


def main():
    for name, one in CASES.items():
        with open(os.path.join(sys.argv[1], name + ".json"), "w") as f:
            packets = one.pop("packets")
            head = json.dumps(one, indent=1)[:-2]
            f.write(head + ',\n "packets": [\n  ' + ",\n  ".join(json.dumps(p) for p in packets) + "\n ]\n}\n")
    print(len(CASES))


main()
