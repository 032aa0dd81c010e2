#!/usr/bin/python3
"""Records test/kernel/recorded/ebtables/: commands.jsonl, one command of ebtables 1.8.9 (nf_tables) after the other in one namespace with
what it printed, and cases of bridges with rules of ebtables (`ebtables`: text for ebtables-restore), as record_more.py records them.

    test/kernel/nft/record_ebt.py     # root; needs ebtables, nftables, iproute2
"""
import json, os, shlex, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import record as r
import record_more as m
from record import tcp, udp, icmp

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, '..', 'recorded', 'ebtables')
COMMANDS = r'''-L --Ln
-t nat -L
-N foo
-P FORWARD DROP
-N bar
-A FORWARD -p IPv4 --ip-src 10.0.0.1 -j DROP
-A FORWARD -p ip --ip-dst ! 10.0.0.0/8 --ip-proto tcp --ip-dport 80:90 -j ACCEPT
-A FORWARD -p ipv4 --ip-proto 17 --ip-sport 53 --ip-tos 0x10 -j CONTINUE
-A FORWARD -p 0x800 --ip-proto icmp --ip-icmp-type echo-request -j DROP
-A FORWARD -p ip --ip-proto 47 -j ACCEPT
-A FORWARD -p ARP --arp-opcode Request --arp-ip-src 10.0.0.1 --arp-ip-dst 10.0.0.0/24 --arp-mac-src 02:00:00:00:00:01 -j ACCEPT
-A FORWARD -p ARP --arp-opcode 2 --arp-htype 1 --arp-ptype 0x800 --arp-gratuitous -j DROP
-A FORWARD -p ip6 --ip6-src fd00::1 --ip6-dst fd00::/64 -j DROP
-A FORWARD -s 02:00:00:00:00:01 -d ! 02:00:00:00:00:02 -i eth0 -o eth+ -j foo
-A FORWARD -s 02:00:00:00:00:00/ff:00:00:00:00:00 -d Broadcast -j ACCEPT
-A FORWARD -s Unicast -j DROP
-A FORWARD -d Multicast -j ACCEPT
-A FORWARD -d ! BGA -j ACCEPT
-A FORWARD --mark 5 -j ACCEPT
-A FORWARD --mark 0x5/0xf -j ACCEPT
-A FORWARD --mark ! 7 -j ACCEPT
-A FORWARD -p 802_1Q --vlan-id 100 -j ACCEPT
-A FORWARD -p 802_1Q --vlan-prio 3 -j ACCEPT
-A FORWARD -p 802_1Q --vlan-encap ip -j ACCEPT
-A FORWARD -p 0x8100 --vlan-id ! 100 -j DROP
-A FORWARD --pkttype-type broadcast -j DROP
-A FORWARD --pkttype-type ! host -j DROP
-A FORWARD -d BGA --stp-type config -j DROP
-A FORWARD --limit 5/m --limit-burst 3 -j ACCEPT
-A FORWARD --log-level debug --log-prefix x --log-ip -j ACCEPT
-A FORWARD --log
-A FORWARD --nflog-group 3
-A FORWARD -j mark --mark-set 5
-A FORWARD -j mark --mark-or 5 --mark-target ACCEPT
-A FORWARD -j RETURN
-A FORWARD
-A FORWARD -j CONTINUE
-A FORWARD -p 0x88b5 -j DROP
-A FORWARD -p ! ARP -j CONTINUE
-A foo -j bar
-t nat -A PREROUTING -d 02:00:00:00:00:05 -j dnat --to-destination 02:00:00:00:00:06
-t nat -A PREROUTING -j dnat --to-dst 2:0:0:0:0:6 --dnat-target CONTINUE
-t nat -A POSTROUTING -s 02:00:00:00:00:05 -j snat --to-source 02:00:00:00:00:06 --snat-arp
-t nat -A POSTROUTING -j snat --to-src 02:00:00:00:00:06 --snat-target DROP
-t nat -A PREROUTING -j redirect
-t nat -A PREROUTING -j redirect --redirect-target DROP
-t nat -A PREROUTING -p ARP --arp-opcode Request -j arpreply --arpreply-mac 02:00:00:00:00:09
-t nat -A PREROUTING -p arp -j arpreply --arpreply-mac 02:00:00:00:00:09 --arpreply-target ACCEPT
-I FORWARD 1 -j ACCEPT
-D FORWARD 1
-D FORWARD -j RETURN
-E foo baz
-A NOSUCH -j DROP
-A FORWARD -j NOSUCH
-A FORWARD --ip-src 1.2.3.4 -j DROP
-A FORWARD -p IPv4 --ip-dport 80 -j DROP
-t nosuch -L
-X nosuch
-X baz
-P FORWARD FOO
-A FORWARD -s xx -j DROP
-A FORWARD -p nosuch -j DROP
-D FORWARD 99
-D FORWARD -s 1:2:3:4:5:6 -j DROP
-N FORWARD
-A INPUT -o eth0 -j DROP
-A OUTPUT -i eth0 -j DROP
-A FORWARD -j dnat --to-dst 1:2:3:4:5:6
-A FORWARD -j redirect
-Z
-A FORWARD -j ACCEPT -j DROP
-A FORWARD -i averyveryverylonginterface -j DROP
-A FORWARD --vlan-id 5 -j DROP
-t broute -A BROUTING -j DROP
-L
-L --Lc
-L FORWARD
-t nat -L --Ln
-L nosuch
-V
SAVE
SAVE -c
NFT
RESTORE
SAVE
-P baz DROP
-L baz
-F
-X
-L'''.split('\n')


def session():
    run = lambda args, stdin=None: subprocess.run(args, input=stdin, capture_output=True, text=True)
    saved, out = '', []
    for line in COMMANDS:
        words = shlex.split(line)
        if words[0] == 'NFT':
            p = run(['nft', 'list', 'ruleset'])
        elif words[0] == 'RESTORE':
            p = run(['ebtables-restore'], saved)
        elif words[0] == 'SAVE':
            p = run(['ebtables-save'] + words[1:])
            saved = p.stdout
        else:
            p = run(['ebtables'] + words)
        text = ''.join(l for l in p.stdout.splitlines(True) if not l.startswith('# '))
        out.append({'command': line, 'exit': p.returncode, 'stdout': text, 'stderr': '' if words[0] == 'NFT' else p.stderr})
    with open(os.path.join(OUT, 'commands.jsonl'), 'w') as f:
        f.writelines(json.dumps(o) + '\n' for o in out)
    print(len(out), 'commands')


class EbOracle(r.NftOracle):
    def build(self, case):
        super().build(case)
        self.router.run(['ebtables-restore'], case['ebtables'])

    def collect(self, case, trace, hits):
        res = super().collect(case, trace, hits)
        text = self.router.run(['ebtables-save', '-c'])
        res['ebtables'] = [l for l in text.rstrip().split('\n') if not l.startswith('# ')]
        return res


H10, H11, H12, BRM, ALL1 = m.H10, m.H11, m.H12, m.BRM, m.ALL1
CASES = {
    'filter': '''*filter
:FORWARD DROP
:web ACCEPT
-A FORWARD -p ARP -j ACCEPT
-A FORWARD -p IPv4 --ip-proto tcp --ip-dport 80 -j web
-A FORWARD -p IPv4 --ip-proto udp --ip-sport 5000:5001 -j CONTINUE
-A FORWARD -p IPv4 --ip-src 10.0.1.11 -j ACCEPT
-A FORWARD -p 802_1Q --vlan-id 100 -j ACCEPT
-A FORWARD -d Broadcast -j ACCEPT
-A web -s 02:aa:00:00:00:0a -i eth0 -j RETURN
-A INPUT -p IPv4 --ip-proto icmp --ip-icmp-type echo-request -j DROP
-A INPUT --pkttype-type host -j ACCEPT
-A OUTPUT -p IPv4 --ip-proto udp --ip-dport 53 -j DROP
''',
    'arp': '''*filter
-A FORWARD -p ARP --arp-op Request --arp-ip-src 10.0.1.10 -j DROP
-A FORWARD -p ARP --arp-op Reply --arp-mac-src 02:aa:00:00:00:0b --arp-ip-dst 10.0.1.0/24 -j ACCEPT
-A FORWARD -p ! ARP -j CONTINUE
''',
    'nat': '''*nat
-A PREROUTING -p IPv4 --ip-proto udp -d 02:aa:00:00:00:0b -j dnat --to-dst 02:aa:00:00:00:0c --dnat-target ACCEPT
-A PREROUTING -p IPv4 --ip-proto tcp -j redirect
-A POSTROUTING -s 02:aa:00:00:00:0a -j snat --to-src 02:aa:00:00:00:0e --snat-arp --snat-target ACCEPT
-A OUTPUT -p IPv4 -j CONTINUE
''',
    'arpreply': '''*nat
-A PREROUTING -p ARP --arp-op Request --arp-ip-dst 10.0.1.11 -j arpreply --arpreply-mac 02:aa:00:00:00:77
''',
    'mark': '''*filter
-A FORWARD -p IPv4 -j mark --mark-set 0x5 --mark-target CONTINUE
-A FORWARD --mark 0x5 -j CONTINUE
-A FORWARD -j mark --mark-or 0x10 --mark-target CONTINUE
-A FORWARD --mark 0x15/0xff -j CONTINUE
-A FORWARD --limit 1/hour --limit-burst 2 -j CONTINUE
-A FORWARD -s Unicast -d ! Broadcast -o eth1 -j CONTINUE
*nat
-A POSTROUTING --mark 0x15 -j ACCEPT
''',
}


def main():
    if os.environ.get('INSIDE') is None:
        os.makedirs(OUT, exist_ok=True)
        subprocess.run(['unshare', '-n', sys.executable, os.path.abspath(__file__)], env={**os.environ, 'INSIDE': '1'}, check=True)
    else:
        return session()
    for name, text in CASES.items():
        full = {'name': name, **r.BASE, **m.BR, 'ebtables': text, 'packets': [{'in': p[0], 'frame': p[1]} for p in m.lan()]}
        result = EbOracle().run(full)
        with open(os.path.join(OUT, name + '.json'), 'w') as f:
            json.dump({'case': full, 'result': result}, f, separators=(',', ':'))
            f.write('\n')
        print(name, len(result['out']))


if __name__ == '__main__':
    main()
