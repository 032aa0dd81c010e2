#!/usr/bin/python3
"""The netfilter oracle as a server: one case (JSON) per line in, one result per line out.

    runner.py ../shared/oracle/netfilter_oracle.py

What differs from the oracle's own command: the process stays, rule counters are read with getsockopt instead of a run of
iptables-save per packet, packets wait as long as the case says (`quiet_ms`), hits are collected only where the case asks
(`hits`: true), and the wait at the end is `final_ms` of the case.  An answer is {"result": ...} or {"error": text}.
Needs root, iproute2, iptables-legacy, ipset.
"""
import ctypes, importlib.util, json, os, socket, struct, sys, time

spec = importlib.util.spec_from_file_location('netfilter_oracle', sys.argv[1])
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)

IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES = 64, 65
HOOKS = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']


def getsockopt(sock, name, record):
    """getsockopt of a record that is read and written, which Python's own does not do."""
    buf = ctypes.create_string_buffer(record, len(record))
    length = ctypes.c_uint32(len(record))
    oracle._chk(oracle.libc.getsockopt(sock.fileno(), socket.IPPROTO_IP, name, buf, ctypes.byref(length)), 'getsockopt')
    return buf.raw


def table_counters(sock, table):
    """{"table/CHAIN": [[packets, bytes] per rule]} as iptables-save -c numbers the rules (struct ipt_getinfo, ipt_get_entries)."""
    info = getsockopt(sock, IPT_SO_GET_INFO, table.encode().ljust(84, b'\0'))
    valid = struct.unpack_from('I', info, 32)[0]
    entry_at = struct.unpack_from('5I', info, 36)
    size = struct.unpack_from('I', info, 80)[0]
    data = getsockopt(sock, IPT_SO_GET_ENTRIES, table.encode().ljust(32, b'\0') + struct.pack('I', size) + bytes(4 + size))[40:]
    starts = {entry_at[h]: HOOKS[h] for h in range(5) if valid >> h & 1}
    out, chain, at = {}, None, 0
    while at < size:
        target, nxt = struct.unpack_from('HH', data, at + 88)
        counters = struct.unpack_from('QQ', data, at + 96)
        name = data[at + target + 2:at + target + 31].split(b'\0')[0].decode()
        text = data[at + target + 32:at + nxt].split(b'\0')[0]
        if name == 'ERROR':
            chain = text.decode()
            if chain != 'ERROR':
                out[table + '/' + chain] = []
        else:
            if at in starts:
                chain = starts[at]
                out[table + '/' + chain] = []
            out[table + '/' + chain].append(list(counters))
        at += nxt
    # The last entry of a chain is its policy or its RETURN.
    for rules in out.values():
        rules.pop()
    return out


class Echo:
    """A UDP socket whose answers may fail: nobody can be asked by a broadcast address."""
    def __init__(self, sock):
        self.sock = sock
        self.fileno, self.recvmsg, self.close = sock.fileno, sock.recvmsg, sock.close

    def sendmsg(self, *args):
        try:
            self.sock.sendmsg(*args)
        except OSError:
            pass


class Server(oracle.Oracle):
    def rule_counters(self):
        if not hasattr(self, 'tables'):
            return {}
        out = {}
        for table in self.tables:
            out.update(table_counters(self.rawout, table))
        return out

    def sockets(self, case):
        super().sockets(case)
        self.udp = [Echo(s) for s in self.udp]
        self.began = time.monotonic()
        text = case.get('iptables', '')
        if case.get('hits'):
            self.tables = [l[1:].strip() for l in text.splitlines() if l.startswith('*')]
        else:
            self.__dict__.pop('tables', None)

    def answer(self, case):
        self.final_ms = case.get('final_ms', 10)
        self.quiet_ms = 1
        result = self.run(case)
        if not case.get('hits'):
            result.pop('hits', None)
        return {'result': result, 'seconds': time.monotonic() - self.began}


def main():
    if os.geteuid() != 0:
        sys.exit('runner.py: needs root (network namespaces)')
    server = Server()
    for line in sys.stdin:
        try:
            reply = server.answer(json.loads(line))
        except struct.error as error:        # the oracle's normaliser met a packet cut short inside a tunnel
            reply = {'disturbed': str(error)}
        except Exception as error:
            reply = {'error': '%s: %s' % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(reply) + '\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main()
