// Maps that programs pass to helpers.
import { BPF_FAULT_ARGUMENT } from "../../abi/bpf";
import { bpfFault } from "../memory";
import { bpfCurrent } from "../run";
import { bpfMapFind } from "./map";

/** The map at an address that the running program passed. A verified program's is one; of another's 0 is answered, and its run is over. */
export function mapArgument(address: u64): usize {
  const run = bpfCurrent();
  if (run.checked == 0) return <usize>address;
  const map = bpfMapFind(address);
  if (map == 0) bpfFault(run, BPF_FAULT_ARGUMENT, address, 0);
  return map;
}
