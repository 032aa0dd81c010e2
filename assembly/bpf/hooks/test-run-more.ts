// BPF_PROG_TEST_RUN of programs without a packet of their own.
import { EOPNOTSUPP } from "../../abi/core";
import { Netns } from "../../layout";
import { BpfProg } from "../prog";
import { TestOut } from "./test-run";

/** Which types have a test run is bpf_prog_ops.test_run; the others answer ENOTSUPP. */
export function testRunMore(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  return -EOPNOTSUPP;
}
