/** Frames at all devices of one node as a capture whose comments tell what happened to each packet between two devices. */
import type { Capture, CapturePacket } from "../pcap/capture.ts";
import { stepTexts } from "../trace/journey.ts";
import type { Observations } from "../trace/observer.ts";
import { decodeRecords } from "../trace/records.ts";

/** `epochNs`: Unix time of the records' first instant. */
export function toldCapture(observations: Observations, epochNs: bigint): Capture {
  const { devices, node } = observations;
  const interfaces = devices.map(({ name, netnsName }) => ({ name: `${netnsName === "" ? node : `${node}/${netnsName}`}/${name}` }));
  const packets: { -readonly [K in keyof CapturePacket]: CapturePacket[K] }[] = [];
  /** Per packet: its last frame, and what happened since. */
  const last = new Map<number, { frame: number; told: string[] }>();
  const text = stepTexts(observations);
  const comment = (index: number, told: readonly string[]): void => {
    const packet = packets[index];
    if (packet === undefined || told.length === 0) return;
    packet.comment = packet.comment === undefined ? told.join("\n") : `${packet.comment}\n${told.join("\n")}`;
  };
  for (const chunk of observations.records) {
    for (const event of decodeRecords(chunk)) {
      const state = last.get(event.skb) ?? { frame: -1, told: [] };
      if (event.skb !== 0) last.set(event.skb, state);
      if (event.type !== "frame") {
        const line = text(event);
        if (line !== undefined) state.told.push(line);
        continue;
      }
      const index = devices.findIndex(({ netns, ifindex }) => netns === event.netns && ifindex === event.ifindex);
      if (index < 0) continue;
      state.frame = packets.length;
      packets.push({
        interface: index, timeNs: epochNs + BigInt(event.timeNs), data: event.bytes, direction: event.direction === "rx" ? "in" : "out",
      });
      comment(state.frame, state.told);
      state.told = [];
    }
  }
  // What came after the last frame, a drop above all, belongs to that frame.
  for (const { frame, told } of last.values()) if (frame >= 0) comment(frame, told);
  return { interfaces, packets };
}
