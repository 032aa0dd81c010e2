/** What programs of a node print: /sys/kernel/debug/tracing/trace_pipe. */
import { BPF_TRACE_PIPE } from "../../assembly/abi/bpf.ts";
import type { NodeContext } from "./context.ts";

export interface BpfTrace {
  /** The lines since it was last read, as trace_pipe gives them: TASK-PID, CPU, flags, TIMESTAMP, text. */
  read(): string;
}

const RECORD = 40;
const NS_PER_US = 1000;

export function createBpfTrace(context: NodeContext): BpfTrace {
  const { instance } = context;
  const decoder = new TextDecoder();
  const zero = (bytes: Uint8Array): Uint8Array => (bytes.includes(0) ? bytes.subarray(0, bytes.indexOf(0)) : bytes);
  return {
    read() {
      let lines = "";
      for (let length = context.command(BPF_TRACE_PIPE, 0, "bpf"); length > 0; length = context.command(BPF_TRACE_PIPE, 0, "bpf")) {
        for (let at = 0; at < length;) {
          const microseconds = Math.floor(instance.u64(at) / NS_PER_US);
          const pid = instance.view.getUint32(at + 8, true);
          const comm = decoder.decode(zero(instance.copy(at + 16, 16)));
          const bytes = instance.view.getUint32(at + 32, true);
          const text = decoder.decode(instance.copy(at + RECORD, bytes));
          const seconds = Math.floor(microseconds / 1e6);
          // trace_print_context, trace_print_lat_fmt (softirq, preemption off), trace_print_time of kernel/trace/trace_output.c
          lines += `${(pid === 0 && comm === "" ? "<idle>" : comm).padStart(16)}-${String(pid).padEnd(7)} [000] ..s2. ${
            String(seconds).padStart(5)}.${String(microseconds % 1e6).padStart(6, "0")}: bpf_trace_printk: ${text}\n`;
          at += (RECORD + bytes + 7) & ~7;
        }
      }
      return lines;
    },
  };
}
