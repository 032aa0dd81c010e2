#!/usr/bin/env python3
"""Recomputes a digest from what `kubewire digest --frames FILE` wrote: the definition in src/digest.ts, in another language."""
import hashlib
import json
import struct
import sys

wires = {}
events = hashlib.sha256()
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        record = json.loads(line)
        if "wire" in record:
            frame = bytes.fromhex(record["frame"])
            head = struct.pack("<QBI", record["timeNs"], 1 if record["received"] else 0, len(frame))
            wires.setdefault(record["wire"], hashlib.sha256()).update(head + frame)
        else:
            events.update(line.encode("utf-8"))

total = hashlib.sha256()
for wire in sorted(wires):
    total.update(f"{wire} {wires[wire].hexdigest()}\n".encode())
total.update(f"events {events.hexdigest()}\n".encode())
print(total.hexdigest())
