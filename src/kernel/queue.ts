/**
 * Packets that a program of the embedder decides about: those that `-j NFQUEUE` (or nft's `queue`) sends to a queue, and all that pass
 * a hook at a priority of the program's choice. `kubewire/kernel` exports it; a namespace that nobody asks for packets pays nothing.
 */
import { RUN_QUEUED } from "../../assembly/abi/core.ts";
import { NF_ACCEPT, NF_DROP, NF_QUEUE, NF_REPEAT, NF_STOLEN } from "../../assembly/abi/netfilter.ts";
import {
  NFQR_BYTES, NFQR_CAPTURED, NFQR_HOOK, NFQR_ID, NFQR_IN, NFQR_LENGTH, NFQR_MARK, NFQR_OUT, NFQR_PHYS_IN, NFQR_PHYS_OUT, NFQR_PROGRAM,
  NFQR_PROTOCOL, NFQR_QUEUE, NFQR_SIZE, NFQ_BIND, NFQ_FLAG_FAIL_OPEN, NFQ_PROGRAM, NFQ_PROGRAM_IPV6, NFQ_PROGRAM_REMOVE, NFQ_STAT, NFQ_TAKE, NFQ_UNBIND,
  NFQ_VERDICT, NFQ_VERDICT_BYPASS, NFQ_VERDICT_MARK, NFQ_VERDICT_PACKET,
} from "../../assembly/abi/queue.ts";
import { ENOENT } from "../../assembly/abi/core.ts";
import type { NodeContext } from "./context.ts";
import { KernelError, type Netns } from "./netns.ts";
import { kernelOf } from "./namespace.ts";

export const HOOKS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;
export type Hook = (typeof HOOKS)[number];

/** A packet that waits for a word. */
export interface HeldPacket {
  readonly hook: Hook;
  /** Ethertype: 0x0800, or 0x86dd. */
  readonly protocol: number;
  /** Names of the devices it came in and is to leave by, and of the bridge's ports. */
  readonly in?: string;
  readonly out?: string;
  readonly physIn?: string;
  readonly physOut?: string;
  readonly mark: number;
  /** From the IP header on; of a queue with `copyBytes`, no more than those. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The length of the whole packet. */
  readonly length: number;
}

/**
 * What becomes of a packet. `accept` goes on behind the table or program, `drop` ends it, `stolen` leaves it to the program (the kernel
 * forgets it), `repeat` shows it to the same table or program again, `queue` hands it to another queue.
 */
export type Word = "accept" | "drop" | "stolen" | "repeat" | { readonly queue: number; readonly bypass?: boolean };

/** A word, with what is to change before: the mark, or the whole packet (IP header and all; checksums are the program's business). */
export type Verdict = Word | { readonly verdict: Word; readonly mark?: number; readonly packet?: Uint8Array };

export type PacketHandler = (packet: HeldPacket) => Verdict | Promise<Verdict>;

export interface QueueOptions {
  /** So many packets may wait; more are dropped. 1024, as nfnetlink_queue has it. */
  readonly maxLength?: number;
  /** What finds no room passes (NFQA_CFG_F_FAIL_OPEN). */
  readonly failOpen?: boolean;
  /** So many bytes of each packet are handed out: all by default. */
  readonly copyBytes?: number;
  /** Hears what the handler threw; its packet is dropped. */
  readonly onError?: (error: unknown) => void;
}

export interface PacketQueue {
  /** As /proc/net/netfilter/nfnetlink_queue tells: waiting, dropped for want of room, handed out so far. */
  stats(): { readonly waiting: number; readonly dropped: number; readonly packets: number };
  /** What waits is dropped; later packets find no listener (`--queue-bypass` lets them pass). */
  close(): void;
}

/**
 * Listens on queue `number` (0 to 65535) of a namespace. Throws KernelError EBUSY when somebody does already. A handler may answer
 * later: the packet waits meanwhile.
 */
export function bindQueue(netns: Netns, number: number, handler: PacketHandler, options: QueueOptions = {}): PacketQueue {
  const holder = holderOf(netns);
  const { maxLength = 1024, failOpen = false, copyBytes = 65535 } = options;
  holder.request(NFQ_BIND, [number, failOpen ? NFQ_FLAG_FAIL_OPEN : 0, maxLength, copyBytes], `queue ${number}`);
  holder.handlers.set(number, { handler, onError: options.onError });
  return {
    stats() {
      holder.request(NFQ_STAT, [number], `queue ${number}`);
      const { view } = holder.context.instance;
      return { waiting: view.getUint32(0, true), dropped: view.getUint32(4, true), packets: view.getUint32(8, true) };
    },
    close() {
      if (!holder.handlers.delete(number)) return;
      holder.request(NFQ_UNBIND, [number], `queue ${number}`);
    },
  };
}

/**
 * Registers a program at one of the five hooks of IPv4, or of IPv6 with `family`. It runs in the order of priorities among the tables (raw -300, connection tracking -200,
 * mangle -150, destination NAT -100, filter 0, security 50, source NAT 100: NF_IP_PRI_* of linux/netfilter_ipv4.h), before what has
 * the same. Throws KernelError ENOSPC beyond 16 programs of a namespace.
 */
export function registerHook(
  netns: Netns,
  { hook, priority, family = "ipv4" }: { readonly hook: Hook; readonly priority: number; readonly family?: "ipv4" | "ipv6" },
  handler: PacketHandler,
  options: Pick<QueueOptions, "onError"> = {},
): { close(): void } {
  const holder = holderOf(netns);
  const id = holder.request(NFQ_PROGRAM, [HOOKS.indexOf(hook), priority, family === "ipv6" ? NFQ_PROGRAM_IPV6 : 0], `hook ${hook}`);
  const key = NFQR_PROGRAM + id;
  holder.handlers.set(key, { handler, onError: options.onError });
  return {
    close() {
      if (!holder.handlers.delete(key)) return;
      holder.request(NFQ_PROGRAM_REMOVE, [id], `hook ${hook}`);
    },
  };
}

interface Holder {
  readonly context: NodeContext;
  readonly handlers: Map<number, { readonly handler: PacketHandler; readonly onError: ((error: unknown) => void) | undefined }>;
  request(op: number, words: readonly number[], call: string, allow?: readonly number[]): number;
}

const holders = new WeakMap<Netns, Holder>();

function holderOf(netns: Netns): Holder {
  let holder = holders.get(netns);
  if (holder === undefined) {
    const { context, handle } = kernelOf(netns);
    const { instance } = context;
    const made: Holder = {
      context,
      handlers: new Map(),
      request(op, words, call, allow) {
        [handle, ...words].forEach((word, i) => instance.view.setUint32(4 * i, word >>> 0, true));
        return context.command(op, 4 + 4 * words.length, call, allow);
      },
    };
    context.onRun(RUN_QUEUED, () => take(netns, made, handle));
    holders.set(netns, made);
    holder = made;
  }
  return holder;
}

/** Hands out all packets of the namespace that nobody has seen, and passes on what is answered at once. */
function take(netns: Netns, holder: Holder, handle: number): void {
  const { context } = holder;
  const { instance } = context;
  const nameOf = (ifindex: number): string | undefined =>
    ifindex === 0 ? undefined : netns.links().find((link) => link.ifindex === ifindex)?.name;
  const packets: { queue: number; id: number; hook: number; fields: number[]; bytes: Uint8Array<ArrayBuffer> }[] = [];
  for (;;) {
    const length = holder.request(NFQ_TAKE, [0], "queue");
    if (length === 0) break;
    for (let at = 0; at < length;) {
      const u32 = (field: number): number => instance.view.getUint32(at + field, true);
      packets.push({
        queue: u32(NFQR_QUEUE), id: u32(NFQR_ID), hook: u32(NFQR_HOOK),
        fields: [NFQR_PROTOCOL, NFQR_IN, NFQR_OUT, NFQR_PHYS_IN, NFQR_PHYS_OUT, NFQR_MARK, NFQR_LENGTH].map(u32),
        bytes: instance.copy(at + NFQR_BYTES, u32(NFQR_CAPTURED)),
      });
      at += u32(NFQR_SIZE);
    }
  }
  for (const { queue, id, hook, fields, bytes } of packets) {
    const [protocol = 0, inside = 0, out = 0, physIn = 0, physOut = 0, mark = 0, length = 0] = fields;
    const names = { in: nameOf(inside), out: nameOf(out), physIn: nameOf(physIn), physOut: nameOf(physOut) };
    const packet = { hook: HOOKS[hook]!, protocol, mark, length, bytes, ...defined(names) };
    const registered = holder.handlers.get(queue);
    const tell = (verdict: Verdict): void => say(holder, handle, id, verdict);
    const fail = (error: unknown): void => {
      tell("drop");
      registered?.onError?.(error);
    };
    try {
      const verdict = registered === undefined ? "drop" : registered.handler(packet);
      if (!(verdict instanceof Promise)) tell(verdict);
      else {
        verdict.then((word) => {
          tell(word);
          context.kick();
        }).catch(fail);
      }
    } catch (error) {
      fail(error);
    }
  }
}

const WORDS = { accept: NF_ACCEPT, drop: NF_DROP, stolen: NF_STOLEN, repeat: NF_REPEAT } as const;

/** A packet that is no longer there (its device went, its queue was closed) needs no word. */
function say(holder: Holder, handle: number, id: number, verdict: Verdict): void {
  const { verdict: word, mark, packet } = typeof verdict === "object" && "verdict" in verdict ? verdict : { verdict, mark: undefined, packet: undefined };
  const code = typeof word === "string" ? WORDS[word] : NF_QUEUE + word.queue * 0x10000 + (word.bypass === true ? NFQ_VERDICT_BYPASS : 0);
  if (code === undefined || (typeof word === "object" && !(Number.isInteger(word.queue) && word.queue >= 0 && word.queue <= 65535))) {
    throw new KernelError("EINVAL", `verdict ${JSON.stringify(word)}: EINVAL`);
  }
  const { instance } = holder.context;
  const flags = (mark === undefined ? 0 : NFQ_VERDICT_MARK) | (packet === undefined ? 0 : NFQ_VERDICT_PACKET);
  if (packet !== undefined && packet.length > 65535) throw new KernelError("EINVAL", "verdict: a packet of more than 65535 bytes");
  if (packet !== undefined) instance.u8.set(packet, 24);
  [handle, id, code, flags, mark ?? 0, packet?.length ?? 0].forEach((value, i) => instance.view.setUint32(4 * i, value >>> 0, true));
  holder.context.command(NFQ_VERDICT, 24 + (packet?.length ?? 0), "verdict", [ENOENT]);
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
