#!/usr/bin/python3
"""Records test/kernel/recorded/nft-trace/: cases as record.py has them, with `trace` = what `nft monitor trace` printed meanwhile.

    test/kernel/nft/record_trace.py     # root; needs nftables, iptables, iproute2
"""
import json, os, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import record as r

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'recorded', 'nft-trace')
r.CASES.clear()
r.case('chains', '''table ip t { chain p { type filter hook prerouting priority -300; meta nftrace set 1 }
 chain x { udp dport 53 counter return; counter } chain y { counter } chain f { type filter hook forward priority 0; policy accept; ip protocol udp jump x; tcp dport 80 counter accept; ip saddr 10.0.1.12 drop; ip protocol icmp goto y; counter }
 chain q { type filter hook postrouting priority 0; ip daddr 10.0.2.20 counter comment "hi" } }
table ip n { chain d { type nat hook prerouting priority dstnat; udp dport 8080 dnat to 10.0.2.21 } }
table inet i { chain in { type filter hook input priority 0; policy drop; icmp type echo-request accept; meta l4proto udp reject } chain out { type filter hook output priority 0; counter } }''')
r.case('vmap', '''table ip t { chain p { type filter hook prerouting priority -300; meta nftrace set 1 }
 chain web { counter } chain f { type filter hook forward priority 0; policy drop; tcp dport vmap { 80 : jump web, 443 : goto web, 22 : drop }; meta mark set 7 continue; ct state established accept; udp sport 5000-5001 accept } }''')


class Traced(r.NftOracle):
    def build(self, case):
        super().build(case)
        setns = r.base.setns
        fd = self.router.fd
        self.monitor = subprocess.Popen(['nft', 'monitor', 'trace'], stdout=subprocess.PIPE, text=True, preexec_fn=lambda: setns(fd))
        time.sleep(0.5)

    def collect(self, case, trace, hits):
        time.sleep(0.3)
        self.monitor.terminate()
        res = super().collect(case, trace, hits)
        res['trace'] = self.monitor.communicate()[0].rstrip('\n').split('\n')
        return res


def main():
    os.makedirs(OUT, exist_ok=True)
    for name, (nft, packets, more) in r.CASES.items():
        full = {'name': name, **r.BASE, **more, 'nft': nft, 'packets': [{'in': p[0], 'frame': p[1]} for p in packets or r.mix()]}
        result = Traced().run(full)
        with open(os.path.join(OUT, name + '.json'), 'w') as file:
            json.dump({'case': full, 'trace': result['trace']}, file, separators=(',', ':'))
            file.write('\n')
        print(name, len(result['trace']))


if __name__ == '__main__':
    main()
