#!/usr/bin/python3
"""netfilter_oracle6.py - the netfilter oracle for IPv6: runs one case against the Linux kernel of this machine.

    netfilter_oracle6.py CASE.json [-o OUT.json]

Namespaces, links and capture are those of the shared oracle (oracle/netfilter_oracle.py of $KUBEWIRE_SHARED, by default ../shared
beside the checkout); its format holds with these differences:

* interfaces have IPv6 addresses (`addr`), added with `nodad`; neighbors and routes are of IPv6 (`ip -6`)
* base: forwarding on (net.ipv6.conf.all.forwarding=1), accept_dad=0, router_solicitations=0, icmp.ratelimit=0, link-local
  addresses by EUI-64; `sysctl_first` is set before the links are made, `sysctl` last
* packets: `in: "local"` is a whole IPv6 packet sent through a raw socket; `in: "ip"` runs `ip -6 ARGS` in the router (`args`)
* out: IPv6 frames; MLD messages only with `keep_mld`. Flow labels, fragment ids and DAD's nonces that no injected packet has are
  random in the kernel: zero, and in `any`, with the checksum that covers a nonce
* `ip6tables`: text for ip6tables-legacy-restore; counters, policies, hits as in the shared format; conntrack is IPv6's
* `out_from`: frames of earlier packets are left out
* snmp: non-zero counters of /proc/net/snmp6, octets and group messages left out
* vxlans: [{name, mac, vni, dstport, opts (words of `ip link add … type vxlan`), addr, neigh: [[address, mac]], fdb: [[mac, dst]]}];
  with their MTU, and what `bridge fdb` says at the end, in `vxlans` of the result
* state: addresses, routes (without the tables' multicast entries) and neighbours at the end
"""
import argparse, importlib.util, ipaddress, json, os, socket, struct, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get('KUBEWIRE_SHARED') or os.path.join(HERE, '../../../../shared')
spec = importlib.util.spec_from_file_location('netfilter_oracle', os.path.join(SHARED, 'oracle/netfilter_oracle.py'))
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

SKIP = {'Ip6InOctets', 'Ip6OutOctets', 'Ip6InMcastOctets', 'Ip6OutMcastOctets', 'Ip6OutMcastPkts', 'Ip6OutRequests', 'Ip6OutTransmits',
        'Icmp6OutMsgs', 'Icmp6OutType143', 'Icmp6OutMLDv2Reports'}
MLD = {130, 131, 132, 143}


class Oracle6(base.Oracle):
    def build(self, case):
        ifs = case['interfaces']
        # The shared part makes links, and addresses of IPv4, of which there are none here.
        bare = dict(case, interfaces={n: {k: v for k, v in i.items() if k != 'addr'} for n, i in ifs.items()},
                    neighbors=[], routes=[], ip_rules=[], sysctl={}, iptables='', ipset='')
        first = {'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.default.disable_ipv6': 0, 'net.ipv6.conf.all.forwarding': 1,
                 'net.ipv6.conf.default.accept_dad': 0, 'net.ipv6.conf.default.router_solicitations': 0,
                 'net.ipv6.conf.default.router_solicitation_delay': 0, 'net.ipv6.icmp.ratelimit': 0}
        first.update(case.get('sysctl_first', {}))
        saved = self.sysctl
        state = {'router': False}

        def sysctl(key, val, must=True):
            if key.startswith('net.ipv6.conf') and not state['router']:
                if key == 'net.ipv6.conf.default.disable_ipv6':
                    state['router'] = True
                    for k, v in first.items():
                        saved(k, v)
                return
            saved(key, val, must)
        self.sysctl = sysctl
        try:
            super().build(bare)
        finally:
            self.sysctl = saved
        r = self.router
        b = []
        for name, i in ifs.items():
            for a in i.get('addr', []):
                b.append('addr add %s dev %s nodad' % (a if '/' in a else a + '/128', name))
        for nb in case.get('neighbors', []):
            b.append('neigh replace %s lladdr %s dev %s nud permanent' % (nb['ip'], nb['mac'], nb['dev']))
        for rt in case.get('routes', []):
            l = 'route %s' % ('append' if rt.get('append') else 'add')
            if rt.get('type'): l += ' ' + rt['type']
            l += ' ' + rt['dst']
            for k in ('via', 'dev', 'src', 'metric', 'table', 'mtu', 'pref', 'expires'):
                if rt.get(k) is not None:
                    l += ' %s %s' % (k, rt[k])
            if rt.get('onlink'): l += ' onlink'
            for h in rt.get('nexthops', []):
                l += ' nexthop via %s' % h['via'] + (' dev %s' % h['dev'] if h.get('dev') else '') + (' weight %d' % h['weight'] if h.get('weight') else '')
            b.append(l)
        for ru in case.get('ip_rules', []):
            b.append('rule add ' + ru)
        for v in case.get('vxlans', []):
            c = ['link add %s address %s type vxlan id %d dstport %d %s' % (v['name'], v['mac'], v['vni'], v['dstport'], v['opts']),
                 'link set %s up' % v['name']]
            c += ['addr add %s dev %s nodad' % (a, v['name']) for a in v.get('addr', [])]
            c += ['neigh replace %s lladdr %s dev %s nud permanent' % (ip, mac, v['name']) for ip, mac in v.get('neigh', [])]
            if b:
                r.run(['ip', '-6', '-batch', '-'], '\n'.join(b) + '\n')
                b = []
            r.run(['ip', '-batch', '-'], '\n'.join(c) + '\n')
            for m, dst in v.get('fdb', []):
                r.run(['bridge', 'fdb', 'append', m, 'dev', v['name'], 'dst', dst])
        if b:
            r.run(['ip', '-6', '-batch', '-'], '\n'.join(b) + '\n')
        r.enter()
        for k, v in case.get('sysctl', {}).items():
            self.sysctl(k, v)
        self.ipt = 'ip6tables-legacy'
        if case.get('ip6tables', '').strip():
            t = case['ip6tables']
            r.run(['ip6tables-legacy-restore'], t if t.endswith('\n') else t + '\n')

    def sockets(self, case):
        super().sockets(dict(case, raw_protos=[], udp_echo=[], tcp_listen=[]))
        for s in self.raw:
            s.close()
        self.raw = []
        self.router.enter()
        self.rawout.close()
        self.rawout = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.tcp_l = []
        for l in case.get('tcp_listen', []):
            s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            s.bind((l.get('addr', '::'), l['port']))
            s.listen(5)
            self.tcp_l.append(s)
        self.udp6 = []
        for l in case.get('udp_echo', []):
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            s.bind((l.get('addr', '::'), l['port']))
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            s.setblocking(False)
            self.udp6.append(s)

    def drain(self, quiet_ms):
        while True:
            before = len(self.frames)
            super().drain(quiet_ms)
            for s in self.udp6:
                try:
                    while True:
                        data, anc, fl, addr = s.recvmsg(70000, 256)
                        a = [(lv, ty, cd) for lv, ty, cd in anc if lv == socket.IPPROTO_IPV6 and ty == socket.IPV6_PKTINFO]
                        s.sendmsg([data], a, 0, addr)
                        before = -1
                except BlockingIOError:
                    pass
                except OSError:
                    pass
            if before >= 0:
                return

    def run(self, case):
        packets = case['packets']
        commands = {n: p['args'] for n, p in enumerate(packets) if p['in'] == 'ip'}
        self.commands = commands
        fixed = [dict(p, **{'in': 'local', 'frame': '00'}) if p['in'] == 'ip' else p for p in packets]
        rules = case.get('ip6tables', '')
        return super().run(dict(case, packets=fixed, iptables=rules))

    def router_send(self, data):
        if self.cur in self.commands:
            self.router.run(['ip', '-6'] + self.commands[self.cur].split())
            return
        dst = socket.inet_ntop(socket.AF_INET6, data[24:40])
        scope = 0
        self.rawout.sendto(data, (dst, 0, 0, scope))

    def collect(self, case, trace, hits):
        norm = Normaliser6(case)
        res = {'name': case['name']}
        out, noise = [], []
        for pkt, dev, fr in self.frames:
            et = struct.unpack('!H', fr[12:14])[0] if len(fr) >= 14 else 0
            if et != 0x86dd:
                if et != 0x0806:
                    noise.append([dev, fr.hex()])
                continue
            if pkt < case.get('out_from', 0):
                continue
            if not case.get('keep_mld') and norm.is_mld(fr[14:]):
                continue
            out.append(norm.frame(pkt, dev, fr))
        res['out'] = out
        if noise:
            res['noise'] = noise
        if case.get('ip6tables', '').strip():
            res['counters'], res['policies'] = base.parse_save(self.router.run([self.ipt + '-save', '-c']))
            res['hits'] = hits
        self.router.enter()
        sn = {}
        for line in open('/proc/thread-self/net/snmp6').read().splitlines():
            k, v = line.split()
            if int(v) and k not in SKIP and not k.startswith('Icmp6InType') and not k.startswith('Icmp6OutType'):
                sn[k] = int(v)
        res['snmp'] = dict(sorted(sn.items()))
        res['state'] = self.state(case)
        if case.get('vxlans'):
            res['vxlans'] = {}
            for v in case['vxlans']:
                fdb = json.loads(self.router.run(['bridge', '-j', 'fdb', 'show', 'dev', v['name']]))
                link = json.loads(self.router.run(['ip', '-j', 'link', 'show', v['name']]))[0]
                res['vxlans'][v['name']] = {'mtu': link['mtu'], 'fdb': sorted([e['mac'], e['dst']] for e in fdb if 'dst' in e)}
        if getattr(self, 'send_errs', None):
            res['send_errors'] = {str(k): v for k, v in self.send_errs.items()}
        return res

    def state(self, case):
        names = set(case['interfaces'])
        addrs = []
        for d in json.loads(self.router.run(['ip', '-j', '-6', 'addr'])):
            if d.get('ifname') not in names:
                continue
            for a in d['addr_info']:
                flags = sorted(k for k in ('temporary', 'nodad', 'optimistic', 'dadfailed', 'deprecated', 'tentative', 'mngtmpaddr',
                                           'noprefixroute', 'stable-privacy', 'dynamic') if a.get(k))
                addrs.append([d['ifname'], '%s/%d' % (a['local'], a['prefixlen']), a['scope'], flags,
                              a['valid_life_time'] if a['valid_life_time'] != 4294967295 else -1,
                              a['preferred_life_time'] if a['preferred_life_time'] != 4294967295 else -1])
        routes = []
        for t in json.loads(self.router.run(['ip', '-j', '-6', 'route', 'show', 'table', 'all'])):
            if t.get('type') == 'multicast' or (t.get('dev') == 'lo' and t.get('table') == 'local'):
                continue
            r = {k: t[k] for k in ('type', 'dst', 'gateway', 'dev', 'table', 'metric', 'pref', 'prefsrc') if k in t}
            if 'nexthops' in t:
                r['nexthops'] = [[h.get('gateway'), h.get('dev'), h.get('weight')] for h in t['nexthops']]
            routes.append(r)
        neigh = []
        for n in json.loads(self.router.run(['ip', '-j', '-6', 'neigh'])):
            if n.get('dev') in names:
                neigh.append([n['dev'], n['dst'], n.get('lladdr'), n['state'][0], 'router' in n])
        key = lambda x: json.dumps(x, sort_keys=True)
        return {'addresses': sorted(addrs, key=key), 'routes': sorted(routes, key=key), 'neighbours': sorted(neigh, key=key)}

    def cleanup(self):
        for s in self.__dict__.pop('udp6', []):
            s.close()
        super().cleanup()


def chain(ip):
    """(protocol, offset, fragment header offset or None) behind the extension headers."""
    nh, o, frag = ip[6], 40, None
    while nh in (0, 43, 44, 51, 60) and o + 8 <= len(ip):
        if nh == 44:
            frag = o
            if struct.unpack('!H', ip[o + 2:o + 4])[0] & 0xfff8:
                return ip[o], o + 8, frag
            n = 8
        elif nh == 51:
            n = (ip[o + 1] + 2) * 4
        else:
            n = (ip[o + 1] + 1) * 8
        nh, o = ip[o], o + n
    return nh, o, frag


class Normaliser6:
    def __init__(self, case):
        self.case = case
        self.labels, self.ids, self.nonces = set(), set(), set()
        for p in case['packets']:
            if p['in'] == 'ip':
                continue
            b = bytes.fromhex(p['frame'])
            if p['in'] != 'local':
                et = struct.unpack('!H', b[12:14])[0] if len(b) >= 14 else 0
                b = b[14:] if et == 0x86dd else b''
            if len(b) < 40:
                continue
            self.labels.add(struct.unpack('!I', b[:4])[0] & 0xfffff)
            frag = chain(b)[2]
            if frag is not None:
                self.ids.add(b[frag + 4:frag + 8])

    def is_mld(self, ip):
        if len(ip) < 40:
            return False
        nh, o, _ = chain(ip)
        return nh == 58 and o < len(ip) and ip[o] in MLD

    def frame(self, pkt, dev, fr):
        ip = bytearray(fr[14:])
        anyr = []
        if len(ip) >= 40:
            label = struct.unpack('!I', ip[:4])[0] & 0xfffff
            if label and label not in self.labels:
                ip[1] &= 0xf0
                ip[2:4] = b'\0\0'
                anyr.append([15, 18])
            nh, o, frag = chain(bytes(ip))
            if frag is not None and bytes(ip[frag + 4:frag + 8]) not in self.ids:
                ip[frag + 4:frag + 8] = b'\0' * 4
                anyr.append([14 + frag + 4, 14 + frag + 8])
            if nh == 58 and o + 24 <= len(ip) and ip[o] == 135:
                p = o + 24
                while p + 8 <= len(ip) and ip[p + 1]:
                    if ip[p] == 14:
                        ip[p + 2:p + 8] = b'\0' * 6
                        ip[o + 2:o + 4] = b'\0\0'
                        anyr += [[14 + p + 2, 14 + p + 8], [14 + o + 2, 14 + o + 4]]
                    p += ip[p + 1] * 8
            if nh == 6 and o + 20 <= len(ip) and ip[o + 13] & 0x3f == 0x12 and \
                    struct.unpack('!H', ip[o:o + 2])[0] in {l['port'] for l in self.case.get('tcp_listen', [])}:
                ip[o + 4:o + 8] = b'\0' * 4
                ip[o + 16:o + 18] = b'\0\0'
                anyr += [[14 + o + 4, 14 + o + 8], [14 + o + 16, 14 + o + 18]]
        res = {'pkt': pkt, 'dev': dev, 'frame': (fr[:14] + bytes(ip)).hex()}
        if anyr:
            res['any'] = sorted(anyr)
        return res


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('case')
    ap.add_argument('-o', '--output')
    a = ap.parse_args()
    txt = base.dumps(Oracle6().run(json.load(open(a.case))))
    if a.output:
        open(a.output, 'w').write(txt)
    else:
        sys.stdout.write(txt)


if __name__ == '__main__':
    main()
