// What the observer hears of programs: which ran on a packet, and what it said.
import { OBS_BPF } from "../../abi/core";
import { Skb } from "../../layout";
import { observeRecord, tracing } from "../../trace/observe";
import { BpfProg } from "../prog";

/** A program at the hook `attach` (BPF_XDP and so on) answered. */
@inline export function observeVerdict(skb: Skb, ns: usize, dev: usize, attach: u32, prog: usize, answer: u32): void {
  if (tracing()) record(skb, ns, dev, attach, prog, answer);
}

function record(skb: Skb, ns: usize, dev: usize, attach: u32, prog: usize, answer: u32): void {
  const at = observeRecord(OBS_BPF, skb, ns, dev, 32);
  if (at == 0) return;
  const p = changetype<BpfProg>(prog);
  store<u32>(at, attach);
  store<u32>(at, p.id, 4);
  store<u32>(at, answer, 8);
  store<u32>(at, p.type, 12);
  store<u64>(at, p.name0, 16);
  store<u64>(at, p.name1, 24);
}
