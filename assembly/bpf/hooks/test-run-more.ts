// BPF_PROG_TEST_RUN of programs without a packet of their own, and of flow dissectors.
import { BPF_FUEL } from "../../abi/bpf";
import { EINVAL, ENOMEM } from "../../abi/core";
import { Netns, Skb } from "../../layout";
import { skbAlloc, skbFree } from "../../net/skb";
import { ETH_HEADER_LEN } from "../../wire/ethernet";
import { BpfProg } from "../prog";
import { BpfRun, RUN_FLOW, bpfGo } from "../run";
import { SKB_CTX_BYTES } from "./context";
import { HR_L2, HR_TEST, KEYS_AT, hookEnter, hookLeave, hookSkb, hookState } from "./state";
import { TestOut, testOutcome } from "./test-run";
import { testRunContext } from "./test-run-context";

const TYPE_FLOW_DISSECTOR: u32 = 22;
// struct bpf_flow_keys
const KEYS_BYTES: u32 = 56, NHOFF: usize = 0, THOFF: usize = 2, N_PROTO: usize = 10, KEYS_FLAGS: usize = 48;
const DATA_MAX: u32 = 3712; // a page without headroom and skb_shared_info

/** 0 or -errno, as testRunSkb(). */
export function testRunMore(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  if (prog.type == TYPE_FLOW_DISSECTOR) return testRunFlow(prog, ns, ctx, ctxLength, data, length, repeat, flags, out);
  return testRunContext(prog, ns, ctx, ctxLength, data, length, repeat, flags, out);
}

/** bpf_prog_test_run_flow_dissector: the context given is struct bpf_flow_keys, of which flags count; the data that come back are the keys. */
function testRunFlow(prog: BpfProg, ns: Netns, ctx: usize, ctxLength: u32, data: usize, length: u32, repeat: u32, flags: u32, out: TestOut): i32 {
  if (flags != 0 || length < ETH_HEADER_LEN || length > DATA_MAX) return -EINVAL;
  for (let i: u32 = 0; i < ctxLength; i++) {
    if ((i < <u32>KEYS_FLAGS || i >= <u32>KEYS_FLAGS + 4) && load<u8>(ctx + <usize>i) != 0) return -EINVAL;
  }
  const asked = ctxLength >= <u32>KEYS_FLAGS + 4 ? load<u32>(ctx + KEYS_FLAGS) : 0;
  if (changetype<usize>(hookState()) == 0) return -ENOMEM;
  const skb = skbAlloc(max<u32>(length, KEYS_BYTES), 128);
  if (changetype<usize>(skb) == 0) return -ENOMEM;
  const r = hookEnter(RUN_FLOW, HR_TEST | HR_L2, changetype<usize>(ns), SKB_CTX_BYTES);
  if (changetype<usize>(r) == 0) {
    skbFree(skb);
    return -ENOMEM;
  }
  skb.tail = skb.data + <usize>length;
  memory.copy(skb.data, data, <usize>length);
  hookSkb(r, skb);
  const run = changetype<BpfRun>(r.run), keys = changetype<usize>(r) + KEYS_AT;
  run.packet = skb.data;
  run.packetEnd = skb.tail;
  for (let i: u32 = 0; i < max<u32>(repeat, 1); i++) {
    store<u32>(r.ctx, <u32>skb.data, 76);
    store<u32>(r.ctx, <u32>skb.tail, 80);
    store<u64>(r.ctx, <u64>keys, 144);
    memory.fill(keys, 0, <usize>KEYS_BYTES);
    store<u16>(keys + NHOFF, <u16>ETH_HEADER_LEN);
    store<u16>(keys + THOFF, <u16>ETH_HEADER_LEN);
    store<u16>(keys + N_PROTO, load<u16>(skb.data, 12));
    store<u32>(keys + KEYS_FLAGS, asked);
    run.fuel = <i64>BPF_FUEL;
    testOutcome(out, r, bpfGo(run, prog));
    // What a program says is held to the packet.
    const nhoff = clamp(load<u16>(keys + NHOFF), <u32>ETH_HEADER_LEN, length);
    store<u16>(keys + NHOFF, <u16>nhoff);
    store<u16>(keys + THOFF, <u16>clamp(load<u16>(keys + THOFF), nhoff, length));
    if (out.fault != 0) break;
  }
  const after = changetype<Skb>(r.skb);
  memory.copy(after.data, keys, <usize>KEYS_BYTES);
  out.skb = changetype<usize>(after);
  out.dataAt = after.data;
  out.dataLength = KEYS_BYTES;
  out.ctxLength = ctxLength;
  hookLeave(r);
  return 0;
}

function clamp(value: u32, low: u32, high: u32): u32 {
  return value < low ? low : value > high ? high : value;
}
