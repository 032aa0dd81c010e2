/** Observations of all nodes as one capture: an interface per device, packets in order of time. */
import type { Capture, CapturePacket } from "../pcap/capture.ts";
import type { Observations } from "./observer.ts";
import { eachFrame } from "./records.ts";

/** `epochMs`: Unix time of the cluster's first instant. Devices are called `node-1/cni0`, those in pods `node-1/shop/client/eth0`. */
export const captureOf = (all: readonly Observations[], epochMs: number): Capture => {
  const interfaces: { name: string }[] = [];
  const numbers = new Map<string, number>();
  for (const { node, devices, pods } of all) {
    for (const { netns, ifindex, netnsName, name } of devices) {
      numbers.set(`${node}/${netns}/${ifindex}`, interfaces.length);
      const place = netns === 0 ? node : `${node}/${pods[netns] ?? netnsName}`;
      interfaces.push({ name: `${place}/${name}` });
    }
  }
  const epochNs = BigInt(epochMs) * 1_000_000n;
  const packets: CapturePacket[] = [];
  for (const { node, records } of all) {
    for (const chunk of records) {
      eachFrame(chunk, ({ timeNs, netns, ifindex, received, bytes }) => {
        const number = numbers.get(`${node}/${netns}/${ifindex}`);
        if (number === undefined) return;
        packets.push({ interface: number, timeNs: epochNs + BigInt(timeNs), data: bytes, direction: received ? "in" : "out" });
      });
    }
  }
  // The sort is stable: packets of one instant keep the order in which their node saw them.
  packets.sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
  return { interfaces, packets };
};
