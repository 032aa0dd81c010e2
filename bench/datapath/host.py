#!/usr/bin/python3
"""host.py BENCH SECONDS RUNS: the host kernel on the scenarios that stand on standard input as JSON.

BENCH is a built copy of ../shared/oracle/bench, whose topology, generator and way of counting are used. Prints JSON: CPU
nanoseconds per packet of each scenario, its generator's own cost not yet taken off.
"""
import argparse, json, os, sys

bench, secs, runs = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
os.chdir(bench)
sys.path.insert(0, bench)
sys.argv = sys.argv[:1]
import run_bench as rb

args = argparse.Namespace(secs=secs, runs=runs, pause=0, only=None)
FAR, BACKEND = '10.0.2.20', '10.244.2.7'
sys.stdout.flush()
out = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)  # run_bench's own lines


def row(name, bed, flows, dst=FAR, **more):
    rb.ROWS.clear()
    rb.measure(name, '', bed, 'live', flows, args, dst=dst, **more)
    return rb.ROWS[0]['ns_all']


def measure(s):
    rules = open(s['rulesFile']).read() if s.get('rulesFile') else s.get('rules', '')
    bed = rb.Bed(rules, out='sink', vxlan=bool(s.get('vxlan')))
    try:
        dst = s.get('destination', FAR)
        if s['flows'] == 0:
            return row(s['name'], bed, 0, dst, maxp=400000, flush=True)
        if rules:
            bed.establish(s['flows'], dst, 80, s['back'], s['backPort'])
        return row(s['name'], bed, s['flows'], dst)
    finally:
        bed.flush()
        bed.close()


P = '/proc/sys/net/netfilter/'
old = (open(P + 'nf_conntrack_max').read(), open(P + 'nf_conntrack_buckets').read())
result = {}
try:
    open(P + 'nf_conntrack_buckets', 'w').write('2097152')
    open(P + 'nf_conntrack_max', 'w').write('8000000')
    bed = rb.Bed()
    result['generator'] = row('generator', bed, 4096, dmac=rb.OTHER, count='sent')
    bed.close()
    for s in json.load(sys.stdin):
        try:
            result[s['name']] = measure(s)
        except Exception as e:  # one scenario that can not be set up does not end the others
            result[s['name']] = str(e)
finally:
    open(P + 'nf_conntrack_max', 'w').write(old[0])
    open(P + 'nf_conntrack_buckets', 'w').write(old[1])
json.dump(result, out)
out.write('\n')
