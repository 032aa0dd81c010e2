#!/usr/bin/python3
"""Records test/kernel/recorded/translate/: what iptables-translate 1.8.9 says about every rule of the recordings' iptables-rules.json and
of the lists below, and what nft 1.0.6 lists after iptables-nft appended the rule.

    test/kernel/nft/record-translate.py     # root; needs iptables, nftables, ipset, iproute2; makes a namespace of its own
"""
import json, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..', '..')
SHARED = os.environ.get('KUBEWIRE_SHARED', os.path.join(ROOT, '..', 'shared'))
OUT = os.path.join(HERE, '..', 'recorded', 'translate')
if os.environ.get('INSIDE') is None:
    os.environ['INSIDE'] = '1'
    os.execvp('unshare', ['unshare', '-n', sys.executable, os.path.abspath(__file__)])


def run(args, stdin=None):
    p = subprocess.run(args, input=stdin, capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


for s in ['myset hash:ip', 'portset bitmap:port range 0-65535', 'ipport hash:ip,port']:
    run(['ipset', 'create'] + s.split())
    run(['ip6tables', '-L'])

COMMANDS = [l.split() for l in '''-N foo
-N foo-bar
-X foo
-X
-F
-F INPUT
-P INPUT DROP
-P FORWARD ACCEPT
-E foo bar
-Z
-Z INPUT
-D INPUT 3
-D INPUT -j ACCEPT
-R INPUT 2 -j ACCEPT
-I INPUT -j ACCEPT
-I INPUT 1 -j ACCEPT
-I INPUT 3 -p tcp --dport 22 -j DROP
-C INPUT -j ACCEPT
-L
-S
-t nat -A POSTROUTING -j MASQUERADE
-t nat -I PREROUTING 2 -p tcp --dport 80 -j REDIRECT --to-ports 8080
-t nat -N KUBE-SERVICES
-t mangle -F
-t raw -P PREROUTING DROP
-A INPUT -j NOSUCH
-A INPUT
-A INPUT -g foo
-A INPUT -s 10.0.0.1,10.0.0.2 -j ACCEPT
-A INPUT -s 10.0.0.1,10.0.0.2 -d 1.1.1.1,2.2.2.2 -j ACCEPT
-A FOO -i eth+ ! -o eth1 -j RETURN
-A FOO -i + -j RETURN
-A FOO ! -i + -j RETURN
-A FOO -p udp
-A FOO -p 0 -j DROP
-A FOO -p all -j DROP
-A FOO ! -p 253 -j DROP
-A FOO -s 10.0.0.0/255.0.255.0 -j DROP
-A FOO ! -s 10.0.0.0/8 -j DROP
-A FOO -s 0.0.0.0/0 -j DROP
-t nosuch -A INPUT -j ACCEPT
-V'''.split('\n')]
RESTORE = [
    '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [5:6]\n:foo - [0:0]\n-A INPUT -i lo -j ACCEPT\n-A foo -p tcp -m tcp --dport 80 -j DROP\n-A FORWARD -j foo\nCOMMIT\n',
    '# a comment\n*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-MARK-MASQ - [0:0]\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n-A PREROUTING -m comment --comment "kube x" -j KUBE-MARK-MASQ\nCOMMIT\n*mangle\n-A FORWARD -m u32 --u32 "0=0" -j ACCEPT\nCOMMIT\n',
    '*raw\n-A PREROUTING -j NOSUCHTARGET --x\nCOMMIT\n',
    '*filter\n-A INPUT -p tcp --dport 99999 -j ACCEPT\nCOMMIT\n',
    '*filter\n-F\n-N x\n-I INPUT 1 -s 1.2.3.4 -j x\n[3:4] -A INPUT -j ACCEPT\n-D INPUT -j ACCEPT\n-P INPUT DROP\nCOMMIT\n',
    '*filter\n-A INPUT -j ACCEPT\n',
]
seen, rules = set(), []
for r in json.load(open(os.path.join(SHARED, 'recordings/network/iptables-rules.json')))['records']:
    key = (r['tool'], r['table'], r['chain'], tuple(r['args']))
    if key in seen:
        continue
    seen.add(key)
    tool, table, chain = r['tool'], r['table'], r['chain']
    t = run([tool + '-translate', '-t', table, '-A', chain] + r['args'])
    run([tool + '-nft', '-t', table, '-N', 'MYCHAIN'])
    a = run([tool + '-nft', '-t', table, '-A', chain] + r['args'])
    rec = {'tool': tool, 'table': table, 'chain': chain, 'args': r['args'], 'exit': t[0], 'stdout': t[1], 'stderr': t[2]}
    if a[0] == 0:
        rec['list'] = run(['nft', 'list', 'ruleset'])[1].split('\n')
    run(['nft', 'flush', 'ruleset'])
    rules.append(rec)
for c in COMMANDS:
    t = run(['iptables-translate'] + c)
    rules.append({'tool': 'iptables', 'command': c, 'exit': t[0], 'stdout': t[1], 'stderr': t[2]})
for text in RESTORE:
    t = run(['iptables-restore-translate', '-f', '/dev/stdin'], text)
    rules.append({'tool': 'iptables-restore-translate', 'stdin': text, 'exit': t[0], 'stdout': t[1], 'stderr': t[2]})
with open(os.path.join(OUT, 'rules.jsonl'), 'w') as f:
    for r in rules:
        f.write(json.dumps(r) + '\n')
print(len(rules))
