// BPF_PROG_TEST_RUN of programs without a packet of their own.
import { Netns } from "../../layout";
import { BpfProg } from "../prog";
import { TestOut } from "./test-run";
import { testRunContext } from "./test-run-context";

/** 0 or -errno, as testRunSkb(). */
export function testRunMore(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  return testRunContext(prog, ns, ctx, ctxLength, data, length, repeat, flags, out);
}
