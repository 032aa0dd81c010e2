/** What tc's objects share: options, how the kernel's refusals are told, devices by name, numbers that live as long as the namespace. */
import type { Netns } from "../../kernel/netns.ts";
import { linkRecords, type LinkRecord } from "../kernel.ts";
import { ToolExit, type Streams, type ToolHost } from "../tool.ts";

export interface TcContext {
  readonly host: ToolHost;
  readonly netns: Netns;
  readonly streams: Streams;
  readonly stats: boolean;
  readonly details: boolean;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly graph: boolean;
}

/** An extended acknowledgement of the kernel. */
export const refused = (text: string): ToolExit => new ToolExit(2, `Error: ${text}.\n`);
export const answered = (text: string): ToolExit => new ToolExit(2, `RTNETLINK answers: ${text}\n`);
/** What a filter command adds. */
export const talkError = ({ stderr }: ToolExit): ToolExit => new ToolExit(2, `${stderr}We have an error talking to the kernel\n`);

/** The device a change is about; without one the kernel is asked about number 0. */
export function deviceOf({ netns }: TcContext, name: string | undefined): LinkRecord {
  if (name === undefined) throw answered("No such device");
  const link = linkRecords(netns).find((found) => found.name === name);
  if (link === undefined) throw new ToolExit(1, `Cannot find device "${name}"\n`);
  return link;
}

/** The queues of a device: a discipline at its root hangs on each (refcnt). */
export const queuesOf = ({ kind }: LinkRecord): number => (kind === "veth" ? 2 : 1);

/** Numbers that the kernel gives away and that its records do not hold: handles of disciplines, of u32's tables, of actions. */
interface Numbers {
  handle: number;
  /** By device, hook and preference. */
  readonly tables: Map<string, number>;
  /** By device, hook, preference and how many filters of that stand before. */
  readonly actions: Map<string, number>;
  /** By device and hook: the parent that the last filter was added with (block->classid). */
  readonly blocks: Map<string, number>;
}
const given = new WeakMap<Netns, Numbers>();

export function numbersOf(netns: Netns): Numbers {
  let numbers = given.get(netns);
  if (numbers === undefined) given.set(netns, (numbers = { handle: 0, tables: new Map(), actions: new Map(), blocks: new Map() }));
  return numbers;
}
