#!/usr/bin/python3
"""Runs cases with IPv6 against this machine's kernel: the shared oracle, with ip6tables, nft and IPv6 frames beside.

    ./oracle6.py --suite cases --results results [--check] [--only SUBSTRING]     (root)

Cases and results are those of the shared oracle's FORMAT.md, and further: addresses, routes, neighbours and rules may be of IPv6;
`ip6tables` and `nft` are text for `ip6tables-restore` and `nft -f`. Counters of ip6tables stand under `ip6:TABLE/CHAIN`, those of nft
under `nft:FAMILY TABLE/CHAIN` (null for a rule without). `conntrack` holds both families. What the router says by itself (neighbour
discovery, group membership) is left out unless `keep_ndp`. IPv6 packets of `local_in` are fixed header and payload behind all extension
headers, the flow label zero. `in: "local"` takes an IPv6 packet with its header.
"""
import argparse
import glob
import ipaddress
import json
import os
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("KUBEWIRE_SHARED", os.path.join(HERE, "../../../../../shared"))
sys.path.insert(0, os.path.join(SHARED, "oracle"))
import netfilter_oracle as base  # noqa: E402

NDP = set(range(130, 138)) | {143}
SNMP = {"Ip6InHdrErrors", "Ip6InNoRoutes", "Ip6InAddrErrors", "Ip6ReasmOKs", "Ip6FragOKs", "Ip6FragCreates", "Icmp6OutDestUnreachs",
        "Icmp6OutPktTooBigs", "Icmp6OutTimeExcds", "Icmp6OutParmProblems"}
EXTENSIONS = {0, 43, 44, 51, 60}


def skip_headers(ip):
    """(protocol, offset of its header, is it a later fragment)."""
    nxt, at = ip[6], 40
    while nxt in EXTENSIONS and at + 8 <= len(ip):
        if nxt == 44:
            if struct.unpack("!H", ip[at + 2:at + 4])[0] & 0xfff8:
                return ip[at], at + 8, True
            size = 8
        else:
            size = (ip[at + 1] + 2) * 4 if nxt == 51 else (ip[at + 1] + 1) * 8
        nxt, at = ip[at], at + size
    return nxt, at, False


def tuple6(b):
    a = base.nlattrs(b)
    ip, pr = base.nlattrs(a.get(1, b"")), base.nlattrs(a.get(2, b""))
    v6 = 3 in ip
    name = lambda x: socket.inet_ntop(socket.AF_INET6 if v6 else socket.AF_INET, x)  # noqa: E731
    t = {"src": name(ip[3 if v6 else 1]), "dst": name(ip[4 if v6 else 2])}
    if 2 in pr:
        t["sport"] = struct.unpack("!H", pr[2])[0]
    if 3 in pr:
        t["dport"] = struct.unpack("!H", pr[3])[0]
    first = 4 if 4 in pr else 7
    if first in pr:
        t["icmp_id"], t["icmp_type"], t["icmp_code"] = struct.unpack("!H", pr[first])[0], pr[first + 1][0], pr[first + 2][0]
    return pr[1][0], t


class Family:
    """Lets the shared dump ask for another family."""
    value = socket.AF_INET


def ct_dump(nlsock):
    pack = struct.pack
    try:
        base.PROTO[58] = "icmpv6"
        base.ct_tuple = tuple6
        base.struct = type("S", (), {**{k: getattr(struct, k) for k in dir(struct) if not k.startswith("_")},
                                     "pack": staticmethod(lambda f, *v: pack(f, Family.value, *v[1:]) if f == "=BBH" else pack(f, *v))})
        both = []
        for Family.value in (socket.AF_INET, socket.AF_INET6):
            both += base_dump(nlsock)
        return sorted(both, key=base.ct_key)
    finally:
        base.struct = struct


base_dump = base.ct_dump


class Oracle6(base.Oracle):
    def build(self, case):
        real = dict(case)
        sysctls = {"net.ipv6.conf.all.forwarding": 1, "net.ipv6.icmp.ratelimit": 0, "net.ipv6.icmp.ratemask": "", **case.get("sysctl", {})}
        is6 = lambda text: ":" in text  # noqa: E731
        real["sysctl"] = {}
        real["interfaces"] = {n: {**i, "addr": [a for a in i.get("addr", []) if not is6(a)]} for n, i in case["interfaces"].items()}
        real["neighbors"] = [n for n in case.get("neighbors", []) if not is6(n["ip"])]
        routes = case.get("routes", [])
        six = [r for r in routes if is6(r["dst"]) or is6(r.get("via") or "") or r.get("family") == 6]
        real["routes"] = [r for r in routes if r not in six]
        real["ip_rules"] = [r for r in case.get("ip_rules", []) if not r.startswith("-6 ")]
        super().build(real)
        r = self.router
        r.enter()
        for key, value in [("default.disable_ipv6", 0), ("default.accept_dad", 0), ("all.accept_dad", 0), ("default.addr_gen_mode", 1),
                           ("all.accept_ra", 0)]:
            self.sysctl("net.ipv6.conf." + key, value)
        for name in case["interfaces"]:
            for key, value in [("addr_gen_mode", 1), ("accept_dad", 0), ("dad_transmits", 0), ("accept_ra", 0), ("disable_ipv6", 0),
                               ("router_solicitations", 0), ("force_mld_version", 1),
                               ("mldv1_unsolicited_report_interval", 1), ("mldv2_unsolicited_report_interval", 1)]:
                self.sysctl("net.ipv6.conf.%s.%s" % (name.replace(".", "%"), key), value, must=key == "disable_ipv6")
        for name in ("lo", "all"):
            self.sysctl("net.ipv6.conf.%s.disable_ipv6" % name, 0)
        lines = []
        for name, i in case["interfaces"].items():
            lines += ["addr add %s dev %s nodad" % (a if "/" in a else a + "/128", name) for a in i.get("addr", []) if is6(a)]
        lines += ["neigh replace %s lladdr %s dev %s nud permanent" % (n["ip"], n["mac"], n["dev"]) for n in case.get("neighbors", []) if is6(n["ip"])]
        for rt in six:
            line = "route add " + (rt["type"] + " " if rt.get("type") else "") + rt["dst"]
            for k in ("via", "dev", "src", "metric", "table", "mtu"):
                if rt.get(k) is not None:
                    line += " %s %s" % (k, rt[k])
            lines.append(line + (" onlink" if rt.get("onlink") else ""))
        lines += ["rule add " + x[3:] for x in case.get("ip_rules", []) if x.startswith("-6 ")]
        if lines:
            r.run(["ip", "-6", "-batch", "-"], "\n".join(lines) + "\n")
        r.enter()
        for key, value in sysctls.items():
            self.sysctl(key, value)
        # What the router says of its groups by itself is over before rules count.
        time.sleep(0.1)
        self.sets6(case)

    def sets6(self, case):
        r = self.router
        self.ip6t = "ip6tables-nft" if self.nft else "ip6tables-legacy"
        if case.get("ip6tables", "").strip():
            r.run([self.ip6t + "-restore"], case["ip6tables"].rstrip("\n") + "\n")
        if case.get("nft", "").strip():
            r.run(["nft", "-f", "-"], case["nft"].rstrip("\n") + "\n")

    def sockets(self, case):
        super().sockets(case)
        self.router.enter()
        self.raw6 = []
        for protocol in (58, 6, 17):
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol)
            for option in (49, 51, 66):  # IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS
                s.setsockopt(socket.IPPROTO_IPV6, option, 1)
            s.setblocking(False)
            self.raw6.append((protocol, s))
        self.out6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.local6 = []
        for l in case.get("udp_listen6", []):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            s.bind((l.get("addr", "::"), l["port"]))
            self.tcp_l.append(s)
        for l in case.get("tcp_listen6", []):
            s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            s.bind((l.get("addr", "::"), l["port"]))
            s.listen(5)
            self.tcp_l.append(s)

    def drain(self, quiet_ms):
        super().drain(quiet_ms)
        for protocol, s in self.raw6:
            while True:
                try:
                    data, anc, _, addr = s.recvmsg(70000, 512)
                except BlockingIOError:
                    break
                hops, tc, dst = 0, 0, b"\0" * 16
                for level, kind, value in anc:
                    if level == socket.IPPROTO_IPV6 and kind == 50:
                        dst = value[:16]
                    elif level == socket.IPPROTO_IPV6 and kind == 52:
                        hops = struct.unpack("=i", value[:4])[0]
                    elif level == socket.IPPROTO_IPV6 and kind == 67:
                        tc = struct.unpack("=i", value[:4])[0]
                src = socket.inet_pton(socket.AF_INET6, addr[0].split("%")[0])
                if protocol == 58 and data and data[0] in NDP and not self.case.get("keep_ndp"):
                    continue
                self.local6.append((self.cur, struct.pack("!IHBB", 0x60000000 | tc << 20, len(data), protocol, hops) + src + dst + data))

    def router_send(self, data):
        if data[0] >> 4 == 6:
            self.out6.sendto(data, (socket.inet_ntop(socket.AF_INET6, data[24:40]), 0))
        else:
            super().router_send(data)

    def counters6(self, case):
        counters, policies = {}, {}
        if case.get("ip6tables", "").strip():
            c, p = base.parse_save(self.router.run([self.ip6t + "-save", "-c"]))
            counters.update({"ip6:" + k: v for k, v in c.items()})
            policies.update({"ip6:" + k: v for k, v in p.items()})
        if case.get("nft", "").strip():
            for item in json.loads(self.router.run(["nft", "-j", "list", "ruleset"]))["nftables"]:
                if "chain" in item:
                    c = item["chain"]
                    counters["nft:%s %s/%s" % (c["family"], c["table"], c["name"])] = []
                if "rule" in item:
                    c = item["rule"]
                    found = [e["counter"] for e in c["expr"] if isinstance(e, dict) and isinstance(e.get("counter"), dict)]
                    counters["nft:%s %s/%s" % (c["family"], c["table"], c["chain"])].append([found[0]["packets"], found[0]["bytes"]] if found else None)
        return counters, policies

    def rule_counters(self):
        out = super().rule_counters() if self.case.get("iptables", "").strip() else {}
        return out

    def run(self, case):
        self.case = case
        base.ct_dump = ct_dump
        self.local6 = []
        return super().run(case)

    def collect(self, case, trace, hits):
        everything, self.frames = self.frames, []
        kept, noise = [], []
        for pkt, dev, fr in everything:
            if fr[12:14] == b"\x86\xdd" and len(fr) >= 54:
                protocol, at, later = skip_headers(fr[14:])
                if protocol == 58 and not later and len(fr) > 14 + at and fr[14 + at] in NDP and not case.get("keep_ndp"):
                    noise.append([dev, fr.hex()])
                    continue
                kept.append((pkt, dev, fr))
            else:
                kept.append((pkt, dev, fr))
        order = []
        self.frames = []
        for pkt, dev, fr in kept:
            if fr[12:14] == b"\x86\xdd":
                order.append(self.frame6(case, pkt, dev, fr))
            else:
                order.append(None)
                self.frames.append((pkt, dev, fr))
        res = super().collect(case, trace, hits)
        rest = iter(res["out"])
        res["out"] = [x for x in ((o if o is not None else next(rest, None)) for o in order) if x is not None]
        res.pop("noise", None)
        res["local_in"] = sorted(res["local_in"] + [{"pkt": p, "packet": d.hex(), **self.any6(case, d)} for p, d in self.local6], key=lambda x: x["pkt"])
        counters, policies = self.counters6(case)
        res["counters"] = {**res["counters"], **counters}
        res["policies"] = {**res["policies"], **policies}
        if case.get("ipset_dump") and not case.get("iptables", "").strip():
            lines = self.router.run(["ipset", "save"]).splitlines()
            res["ipset"] = sorted(l for l in lines if l.startswith("add "))
        self.router.enter()
        snmp = {}
        for line in open("/proc/thread-self/net/snmp6"):
            name, value = line.split()
            if name in SNMP and int(value):
                snmp[name] = int(value)
        res["snmp6"] = snmp
        return res

    def frame6(self, case, pkt, dev, fr):
        # The tail of a short frame is not padding here: veth sends what it was given.
        out = {"pkt": pkt, "dev": dev, "frame": fr.hex()}
        ranges = self.any6(case, fr[14:]).get("any")
        if ranges:
            out["any"] = [[a + 14, b + 14] for a, b in ranges]
            frame = bytearray(fr)
            for a, b in out["any"]:
                frame[a:b] = b"\0" * (b - a)
            out["frame"] = frame.hex()
        return out

    def any6(self, case, ip):
        """Ports drawn at random (any_port), and the flow label that the kernel makes up for its own packets."""
        ranges = []
        protocol, at, later = skip_headers(ip)
        ap = case.get("any_port")
        known = set(case.get("known_ports", []))
        if ap and protocol in (6, 17) and not later and len(ip) >= at + 8:
            for offset, where in ((0, 8), (2, 24)):
                port = struct.unpack("!H", ip[at + offset:at + offset + 2])[0]
                if socket.inet_ntop(socket.AF_INET6, ip[where:where + 16]) == ap["addr"] and port not in known:
                    ranges.append([at + offset, at + offset + 2])
                    ranges.append([at + (16 if protocol == 6 else 6), at + (18 if protocol == 6 else 8)])
        if protocol == 58 and len(ip) > at and (ip[at] < 128 or ip[at] == 129) and struct.unpack("!I", ip[:4])[0] & 0xfffff:
            ranges.append([1, 4])
        if case.get("tcp_listen6") and protocol == 6 and not later and ip[at + 13] & 0x3f == 0x12:
            ranges += [[1, 4], [at + 4, at + 8], [at + 16, at + 18]]
        # Numbers of fragments that the router makes are drawn; injected ones are below 256.
        if ip[6] == 44 and len(ip) >= 48 and any(ip[44:47]):
            ranges.append([44, 48])
        return {"any": sorted(ranges)} if ranges else {}

    def cleanup(self):
        for _, s in self.__dict__.pop("raw6", []):
            s.close()
        s = self.__dict__.pop("out6", None)
        if s:
            s.close()
        super().cleanup()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("case", nargs="?")
    ap.add_argument("--suite")
    ap.add_argument("--results")
    ap.add_argument("--only")
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--nft", action="store_true")
    a = ap.parse_args()
    oracle = Oracle6(nft=a.nft)
    if not a.suite:
        sys.stdout.write(base.dumps(oracle.run(json.load(open(a.case)))))
        return 0
    bad = n = 0
    for path in sorted(glob.glob(os.path.join(a.suite, "*.json"))):
        case = json.load(open(path))
        if a.only and a.only not in case["name"]:
            continue
        try:
            res = oracle.run(case)
        except Exception as e:  # noqa: BLE001
            bad += 1
            print("ERROR %s: %s" % (case["name"], e))
            continue
        n += 1
        file = os.path.join(a.results, case["name"] + ".json")
        if a.check:
            old = json.load(open(file))
            new = json.loads(base.dumps(res))
            differ = [k for k in sorted(set(old) | set(new)) if old.get(k) != new.get(k) and k != "backend"]
            if differ:
                bad += 1
                print("DIFF %s: %s" % (case["name"], ", ".join(differ)))
        else:
            open(file, "w").write(base.dumps(res))
    print("%d cases, %d bad" % (n, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
