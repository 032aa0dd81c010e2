/** `ip netns` (ip/ipnetns.c): the machine's named namespaces. */
import { abbreviates, ToolExit, type Words } from "../tool.ts";
import { peerOf } from "./address-show.ts";
import { linkRecords } from "../kernel.ts";
import { printer, type IpContext } from "./context.ts";
import { NETNS } from "./usage.ts";

const PLACE = "/run/netns";

export function ipNetns(context: IpContext, words: Words): void {
  const { host, streams } = context;
  const verb = words.word;
  words.skip();
  if (verb === undefined || abbreviates(verb, "list") || abbreviates(verb, "show") || abbreviates(verb, "lst")) return list(context);
  if (abbreviates(verb, "help")) throw new ToolExit(255, NETNS);
  const name = words.word;
  if (abbreviates(verb, "add")) {
    if (name === undefined) throw new ToolExit(1, "No netns name specified\n");
    if (!isName(name)) throw invalidName(name);
    if (host.namespaces.has(name)) throw new ToolExit(1, `Cannot create namespace file "${PLACE}/${name}": File exists\n`);
    if (host.addNetns === undefined) throw new ToolExit(1, 'Failed to create a new network namespace "' + name + '": Operation not permitted\n');
    host.addNetns(name);
    return;
  }
  if (abbreviates(verb, "delete")) {
    if (name === undefined) throw new ToolExit(1, "No netns name specified\n");
    if (!isName(name)) throw invalidName(name);
    if (!host.namespaces.has(name)) throw new ToolExit(1, `Cannot remove namespace file "${PLACE}/${name}": No such file or directory\n`);
    if (host.deleteNetns === undefined) throw new ToolExit(1, `Cannot remove namespace file "${PLACE}/${name}": Operation not permitted\n`);
    return host.deleteNetns(name);
  }
  if (abbreviates(verb, "exec")) {
    if (name === undefined) throw new ToolExit(255, "No netns name specified\n");
    words.skip();
    if (words.word === undefined) throw new ToolExit(255, "No command specified\n");
    const netns = host.namespaces.get(name);
    if (netns === undefined) throw new ToolExit(255, `Cannot open network namespace "${name}": No such file or directory\n`);
    const result = context.run(netns, words.rest());
    streams.stdout += result.stdout;
    throw new ToolExit(result.exitCode, result.stderr);
  }
  if (abbreviates(verb, "identify") || abbreviates(verb, "pids")) {
    if (verb.startsWith("p") && name === undefined) throw new ToolExit(1, "No netns name specified\n");
    return;
  }
  throw new ToolExit(255, `Command "${verb}" is unknown, try "ip netns help".\n`);
}

const isName = (name: string): boolean => name !== "" && !name.includes("/") && name !== "." && name !== ".." && name.length < 256;
const invalidName = (name: string): ToolExit => new ToolExit(1, `Invalid netns name "${name}"\n`);

/** Names, newest first as the directory is read; with the number by which the present namespace knows them. */
function list(context: IpContext): void {
  const { host, netns, streams } = context;
  const ids = new Map<string, number>();
  for (const link of linkRecords(netns)) {
    const peer = peerOf(context.host, link);
    if (peer?.name !== undefined && !ids.has(peer.name)) ids.set(peer.name, peer.id);
  }
  const p = printer(context);
  p.array(undefined, () => {
    for (const name of [...host.namespaces.keys()].reverse()) {
      p.object(undefined, () => {
        const id = ids.get(name);
        p.any("name", name, name);
        if (id !== undefined) p.any("id", id, ` (id: ${id})`);
        p.fp("\n");
      });
    }
  });
  streams.stdout += p.take();
}
