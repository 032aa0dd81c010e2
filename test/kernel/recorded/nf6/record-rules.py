#!/usr/bin/python3
"""Asks the real ip6tables-legacy what it makes of rules, in the format of the recordings' iptables-rules.json.

    unshare -n ./record-rules.py > rules.json
"""
import json
import shlex
import subprocess

RULES = """
filter INPUT -s fe80::1:0:0:2/64 -d ff02::/16 -i eth0 -j DROP
filter INPUT -s ::ffff:10.0.0.1 -j ACCEPT
filter INPUT -s 2001:db8::1/ffff:ffff::ff00 -j ACCEPT
filter INPUT -s 2001:db8::/129 -j ACCEPT
filter INPUT -s 2001:db8::g -j ACCEPT
filter INPUT -s fd00::1,fd00::2/127 -j ACCEPT
filter INPUT ! -s ::/0 -j ACCEPT
filter INPUT -p tcp --dport 22 -j ACCEPT
filter INPUT -p all -j ACCEPT
filter INPUT -p icmp -j ACCEPT
filter INPUT -p 58 -j ACCEPT
filter INPUT ! -p ipv6-icmp -j ACCEPT
filter INPUT -p udp --sport 53 ! --dport 1:1023
filter INPUT -p icmpv6 --icmpv6-type destination-unreachable -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type no-route -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type communication-prohibited -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type failed-policy -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type reject-route -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type packet-too-big -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type ttl-exceeded -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type ttl-zero-during-reassembly -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type bad-header -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type unknown-option -j ACCEPT
filter INPUT -p icmpv6 ! --icmpv6-type pong -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type mld-listener-query -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type mld-listener-done -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type router-advertisement -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type neighbor-solicitation -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type redirect -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type 200/7 -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type any -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type neigh -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type 300 -j ACCEPT
filter INPUT -p icmpv6 --icmpv6-type 1/300 -j ACCEPT
filter INPUT -p icmpv6 -m icmp6 -j ACCEPT
filter INPUT -m icmp6 --icmpv6-type 1 -j ACCEPT
filter INPUT -p tcp --icmpv6-type 1 -j ACCEPT
filter INPUT -m icmp --icmp-type 8 -j ACCEPT
filter INPUT -m ttl --ttl-eq 3 -j ACCEPT
filter INPUT -m frag --fragid 0:5 --fragmore -j ACCEPT
filter INPUT -m frag ! --fragid 7 --fraglast -j ACCEPT
filter INPUT -m frag --fragid 1:2 --fraglen 8 --fragres --fragfirst --fraglast -j ACCEPT
filter INPUT -m frag --fragres --fragfirst --fragmore -j ACCEPT
filter INPUT -m frag --fragfirst --fragmore --fraglast -j ACCEPT
filter INPUT -m frag -j ACCEPT
filter INPUT -m frag --fragid x -j ACCEPT
filter INPUT -m hbh -j ACCEPT
filter INPUT -m hbh ! --hbh-len 8 -j ACCEPT
filter INPUT -m hbh --hbh-len 8 --hbh-opts 1:4,5,6:255 -j ACCEPT
filter INPUT -m hbh --hbh-opts 300 -j ACCEPT
filter INPUT -m dst --dst-len 4 -j ACCEPT
filter INPUT -m dst ! --dst-len 8 --dst-opts 149:92,12:12,123:12 -j ACCEPT
filter INPUT -m dst -j ACCEPT
filter INPUT -m rt --rt-type 0 --rt-segsleft 1:23 --rt-len 42 --rt-0-res -j ACCEPT
filter INPUT -m rt --rt-type 0 ! --rt-segsleft 1:23 ! --rt-len 42 --rt-0-res -j ACCEPT
filter INPUT -m rt ! --rt-type 1 ! --rt-segsleft 12:23 ! --rt-len 42 -j ACCEPT
filter INPUT -m rt --rt-type 0 --rt-segsleft 1:23 --rt-len 42 --rt-0-res --rt-0-addrs ::1,::2 --rt-0-not-strict -j ACCEPT
filter INPUT -m rt --rt-type 0 --rt-0-addrs fd00::1 -j ACCEPT
filter INPUT -m rt --rt-type 2 --rt-0-res -j ACCEPT
filter INPUT -m rt --rt-type 2 -j DROP
filter INPUT -m rt -j ACCEPT
filter INPUT -m ah -j ACCEPT
filter INPUT -m ah --ahspi 0 --ahres -j ACCEPT
filter INPUT -m ah ! --ahspi 0:3 --ahlen 8 -j ACCEPT
filter INPUT -m ah --ahspi 2 ! --ahlen 8 --ahres -j ACCEPT
filter INPUT -p esp -m esp --espspi 32 -j ACCEPT
filter INPUT -p esp -m esp ! --espspi 0:3 -j ACCEPT
filter INPUT -p 135 -m mh -j ACCEPT
filter INPUT -p mobility-header -m mh --mh-type brr -j ACCEPT
filter INPUT -p mobility-header -m mh ! --mh-type 0:2 -j ACCEPT
filter INPUT -p mobility-header -m mh --mh-type binding-update -j ACCEPT
filter INPUT -p mobility-header -m mh --mh-type hot:coti -j ACCEPT
filter INPUT -p mobility-header -m mh --mh-type foo -j ACCEPT
filter INPUT -m mh --mh-type 1 -j ACCEPT
filter INPUT -m ipv6header --header hop-by-hop -j ACCEPT
filter INPUT -m ipv6header --header 0 --soft -j ACCEPT
filter INPUT -m ipv6header --header ipv6-nonxt -j ACCEPT
filter INPUT -m ipv6header ! --header route,frag,auth,esp,none,prot -j ACCEPT
filter INPUT -m ipv6header --header 43,44,50,51,59,60,255 -j ACCEPT
filter INPUT -m ipv6header --header bogus -j ACCEPT
filter INPUT -m ipv6header --soft -j ACCEPT
filter INPUT -m eui64 -j DROP
filter OUTPUT -m eui64 -j DROP
filter INPUT -m hl --hl-lt 5 -j ACCEPT
filter INPUT -m hl --hl-gt 5 -j ACCEPT
filter INPUT -m hl ! --hl-eq 5 -j ACCEPT
filter INPUT -m hl --hl-eq 256 -j ACCEPT
filter INPUT -m hl -j ACCEPT
filter INPUT -m hl --hl-eq 1 --hl-lt 2 -j ACCEPT
filter INPUT -m srh --srh-next-hdr 17 -j ACCEPT
filter INPUT -m iprange --src-range fd00::9-fd00::1 -j ACCEPT
filter INPUT -m iprange ! --src-range ::1-::2 --dst-range fd00::5 -j ACCEPT
filter INPUT -m iprange --dst-range 10.0.0.1-10.0.0.2 -j ACCEPT
filter INPUT -m conntrack --ctstate NEW,ESTABLISHED --ctorigsrc fd00::1 ! --ctreplsrc fd00::/8 --ctrepldst ::/0 -j ACCEPT
filter INPUT -m conntrack --ctorigsrc 10.0.0.1 -j ACCEPT
filter INPUT -m conntrack --ctproto ipv6-icmp -j ACCEPT
filter INPUT -m state --state RELATED -j ACCEPT
filter INPUT -m recent --set --name a --rdest -j ACCEPT
filter INPUT -m recent --update --seconds 5 --hitcount 2 --rttl --mask ffff:ffff:ffff:ffff:: -j DROP
filter INPUT -m recent --set --mask 255.255.0.0 -j ACCEPT
filter INPUT -m hashlimit --hashlimit-above 10/min --hashlimit-burst 7 --hashlimit-mode srcip,dstip,dstport --hashlimit-name q --hashlimit-dstmask 48 -j DROP
filter INPUT -m hashlimit --hashlimit-upto 1/sec --hashlimit-mode srcip --hashlimit-srcmask 129 --hashlimit-name q -j DROP
filter INPUT -m connlimit --connlimit-above 3 -j DROP
filter INPUT -m connlimit --connlimit-upto 3 --connlimit-mask 64 --connlimit-daddr -j ACCEPT
filter INPUT -m connlimit --connlimit-above 3 --connlimit-mask 130 -j DROP
filter INPUT -m policy --dir in --pol ipsec --strict --tunnel-src fd00::1/128 --tunnel-dst fd00::/64 --mode tunnel -j ACCEPT
filter INPUT -m policy --dir in --pol none -j ACCEPT
filter INPUT -m addrtype --src-type UNICAST --limit-iface-in -j ACCEPT
filter INPUT -m addrtype --dst-type BROADCAST -j ACCEPT
filter INPUT -m addrtype --dst-type BLACKHOLE -j ACCEPT
filter INPUT -m addrtype --dst-type MULTICAST,ANYCAST -j ACCEPT
filter INPUT -m set --match-set myset6 src -j ACCEPT
filter INPUT -m set ! --match-set ipport6 src,dst -j ACCEPT
filter INPUT -m dscp --dscp-class EF -j ACCEPT
filter INPUT -m tos --tos 0x10/0xff -j ACCEPT
filter INPUT -m length --length 100:200 -j ACCEPT
filter INPUT -m ecn --ecn-ip-ect 1 -j ACCEPT
filter INPUT -m limit --limit 5/min -j LOG --log-prefix "six "
filter INPUT -m mac --mac-source 02:00:00:00:00:01 -j ACCEPT
filter INPUT -m multiport -p udp --dports 53,546:547 -j ACCEPT
filter INPUT -m pkttype --pkt-type multicast -j ACCEPT
filter INPUT -m string --algo bm --string abc -j DROP
filter INPUT -m u32 --u32 "6&0xFF=1" -j DROP
filter INPUT -m time --timestart 10:00 --timestop 12:00 -j DROP
filter INPUT -m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xdead -j ACCEPT
filter INPUT -p sctp --dport 80 --chunk-types any DATA -j ACCEPT
filter INPUT -p dccp --dport 80 -j ACCEPT
filter INPUT -p tcp -m tcpmss --mss 1:500 -j ACCEPT
filter INPUT -m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0" -j ACCEPT
filter INPUT -m socket -j ACCEPT
mangle PREROUTING -m socket --transparent --nowildcard -j MARK --set-mark 1
raw PREROUTING -m rpfilter --loose --invert -j DROP
filter INPUT -m rpfilter -j DROP
filter FORWARD -m physdev --physdev-is-bridged -j ACCEPT
filter OUTPUT -m owner --uid-owner 0 -j ACCEPT
filter INPUT -j REJECT --reject-with icmp6-no-route
filter INPUT -j REJECT --reject-with no-route
filter INPUT -j REJECT --reject-with icmp6-addr-unreachable
filter INPUT -j REJECT --reject-with addr-unreach
filter INPUT -j REJECT --reject-with icmp6-policy-fail
filter INPUT -j REJECT --reject-with icmp6-reject-route
filter INPUT -p tcp -j REJECT --reject-with tcp-reset
filter INPUT -j REJECT --reject-with tcp-reset
filter INPUT -j REJECT --reject-with icmp-port-unreachable
filter INPUT -j REJECT --reject-with icmp6-beyond-scope
nat PREROUTING -j REJECT
mangle PREROUTING -j HL --hl-inc 1
mangle PREROUTING -j HL --hl-dec 1
mangle PREROUTING -j HL --hl-dec 0
mangle PREROUTING -j HL --hl-set 256
mangle PREROUTING -j HL
filter INPUT -j HL --hl-set 3
mangle PREROUTING -j TTL --ttl-set 3
mangle PREROUTING -j DNPT --src-pfx fd00::/64 --dst-pfx 2001:db8::/64
mangle POSTROUTING -j SNPT --src-pfx fd00::/48 --dst-pfx 2001:db8:1::/48
mangle POSTROUTING -j SNPT --src-pfx fd00::/48
mangle POSTROUTING -j SNPT --src-pfx fd00::/65 --dst-pfx 2001:db8:1::/48
mangle POSTROUTING -j SNPT --src-pfx fd00::1/64 --dst-pfx 2001:db8:1::/64
nat PREROUTING -j DNAT --to-destination [fd00::1]
nat PREROUTING -p tcp -j DNAT --to-destination [fd00::1-fd00::9]:80-90
nat PREROUTING -p tcp -j DNAT --to-destination [fd00::1]:80-90/8080
nat PREROUTING -p tcp -j DNAT --to-destination :80
nat PREROUTING -p tcp -j DNAT --to-destination [fd00::1]:99-5
nat PREROUTING -j DNAT --to-destination [fd00::1]:80
nat PREROUTING -p tcp -j DNAT --to-destination [fd00::1:80
nat PREROUTING -p tcp -j DNAT --to-destination fd00::1:80
nat PREROUTING -j DNAT --to-destination 10.0.0.1
nat PREROUTING -j DNAT --to-destination fd00::1 --random --persistent
nat PREROUTING -j DNAT
nat POSTROUTING -j SNAT --to-source fd00::1-fd00::5
nat POSTROUTING -p udp -j SNAT --to-source [fd00::1-fd00::5]:1024-65535 --random-fully
nat POSTROUTING -p udp -j MASQUERADE --to-ports 1024-2048
nat POSTROUTING -j MASQUERADE --to-ports 1024
nat PREROUTING -j REDIRECT
nat PREROUTING -p tcp -j REDIRECT --to-ports 8080-8090 --random
nat PREROUTING -j NETMAP --to fd01::1
nat PREROUTING -j NETMAP --to fd01::/ffff:ffff::
nat PREROUTING -j NETMAP --to fd01::1/64
nat POSTROUTING -j NETMAP --to fd02::/64
nat PREROUTING -j NETMAP
nat PREROUTING -j NETMAP --to 10.0.0.0/8
mangle PREROUTING -p tcp -j TPROXY --on-port 8080 --on-ip fd00::1 --tproxy-mark 1/1
mangle PREROUTING -p tcp -j TPROXY --on-port 8080
mangle PREROUTING -p tcp -j TPROXY --on-port 8080 --on-ip 10.0.0.1
mangle PREROUTING -j TEE --gateway fd00::9
mangle PREROUTING -j TEE --gateway 10.0.0.9
mangle PREROUTING -j HMARK --hmark-tuple src,dst --hmark-src-prefix 64 --hmark-mod 10 --hmark-rnd 0xfeed
mangle FORWARD -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu
mangle FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1220
mangle POSTROUTING -j DSCP --set-dscp-class CS1
mangle POSTROUTING -j TOS --set-tos 0x10
mangle POSTROUTING -j ECN --ecn-tcp-remove
mangle POSTROUTING -j CLASSIFY --set-class 1:2
mangle POSTROUTING -j CONNMARK --save-mark
mangle PREROUTING -p tcp -j TCPOPTSTRIP --strip-options timestamp
raw PREROUTING -j CT --notrack
raw PREROUTING -j CT --zone 3
raw PREROUTING -j NOTRACK
raw PREROUTING -j TRACE
filter INPUT -j SET --add-set myset6 src --exist
filter INPUT -j NFLOG --nflog-group 3
filter INPUT -j NFQUEUE --queue-num 3 --queue-bypass
filter INPUT -j MYCHAIN
filter INPUT -g MYCHAIN
filter INPUT -i eth+ -m comment --comment "a b" -j RETURN
filter INPUT -4 -j ACCEPT
filter INPUT -6 -j ACCEPT
filter INPUT -m nosuch -j ACCEPT
filter INPUT -j NOSUCH
""".strip().split("\n")

FRAME = ["ip6tables-legacy", "-w"]


def run(args, text=None):
    p = subprocess.run(args, input=text, capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr.replace("ip6tables-legacy", "ip6tables")


def main():
    for line in ["create myset6 hash:ip family inet6", "create ipport6 hash:ip,port family inet6"]:
        run(["ipset", "-exist", *line.split()])
    records = []
    for line in RULES:
        table, chain, *args = shlex.split(line)
        tool = ["ip6tables-legacy", "-t", table]
        for reset in (["-F"], ["-X"], ["-N", "MYCHAIN"]):
            run(tool + reset)
        exit_code, _, stderr = run(tool + ["-A", chain] + args)
        record = {"backend": "legacy", "tool": "ip6tables", "table": table, "chain": chain, "args": args, "exit": exit_code}
        if exit_code != 0:
            record["stderr"] = stderr
        else:
            save = run(["ip6tables-legacy-save", "-t", table])[1].split("\n")
            save_c = run(["ip6tables-legacy-save", "-c", "-t", table])[1].split("\n")
            record["save-c"] = [l for l in save_c if l.startswith("[") and "] -A " in l]
            record["save"] = [l for l in save if l.startswith("-A ")]
            record["S"] = [l for l in run(tool + ["-S", chain])[1].split("\n") if l.startswith("-A ")]
            record["L -n -v --line-numbers"] = run(tool + ["-L", chain, "-n", "-v", "--line-numbers"])[1].rstrip("\n").split("\n")
            record["L"] = run(tool + ["-L", chain, "-n"])[1].rstrip("\n").split("\n")[2:]
            for name, verb in (("check", "-C"), ("delete", "-D")):
                code, _, err = run(tool + [verb, chain] + args)
                record[name] = {"exit": code, "stderr": err if code != 0 else ""}
        run(tool + ["-F"])
        records.append(record)
    print('{"meta": {"iptables": "v1.8.9"}, "records": [')
    print(",\n".join(json.dumps(r) for r in records))
    print("]}")


main()
