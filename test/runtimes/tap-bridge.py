#!/usr/bin/python3
"""A tap device joined to a socket framed as QEMU's netdevs are: tap-bridge.py TAP unix PATH | tcp HOST PORT | udp HOST PORT LOCALPORT"""
import fcntl, os, select, socket, struct, sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22x', sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
kind, where = sys.argv[2], sys.argv[3:]
if kind == 'udp':
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(('127.0.0.1', int(where[2])))
    wire.connect((where[0], int(where[1])))
elif kind == 'unix':
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(where[0])
else:
    wire = socket.create_connection((where[0], int(where[1])))
waiting = b''
while True:
    for ready in select.select([tap, wire], [], [])[0]:
        if ready == tap:
            frame = os.read(tap, 65536)
            wire.sendall(frame if kind == 'udp' else struct.pack('!I', len(frame)) + frame)
        elif kind == 'udp':
            os.write(tap, wire.recv(65536))
        else:
            chunk = wire.recv(65536)
            if not chunk:
                sys.exit(0)
            waiting += chunk
            while len(waiting) >= 4 and len(waiting) - 4 >= struct.unpack('!I', waiting[:4])[0]:
                length = struct.unpack('!I', waiting[:4])[0]
                os.write(tap, waiting[4:4 + length])
                waiting = waiting[4 + length:]
