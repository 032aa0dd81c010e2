// Programs as attachments look for them.
import { BpfProg } from "../prog";
import { bpfState } from "../run";

/** The program of that id, or 0. */
export function progById(id: u32): usize {
  for (let at = bpfState().progs; at != 0; at = changetype<BpfProg>(at).next) if (changetype<BpfProg>(at).id == id) return at;
  return 0;
}
