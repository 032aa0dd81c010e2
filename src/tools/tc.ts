/** `tc` (tc/tc.c): the queueing disciplines of devices. Devices here have no queue: every one has noqueue, as veth and bridge have. */
import { Printer } from "./printer.ts";
import { linkRecords } from "./kernel.ts";
import { TC, TC_QDISC } from "./other-usage.ts";
import { noDevice, answers } from "./ip/context.ts";
import { abbreviates, ToolExit, Words, type Streams, type ToolHost } from "./tool.ts";

export function tc(host: ToolHost, args: readonly string[], streams: Streams): number {
  const options = { stats: false, details: false, json: false, pretty: false };
  let at = 0;
  for (; at < args.length && args[at]!.startsWith("-"); at++) {
    const option = args[at]!;
    const is = (name: string): boolean => abbreviates(option, name);
    if (is("-stats") || is("-statistics")) options.stats = true;
    else if (is("-details")) options.details = true;
    else if (is("-json")) options.json = true;
    else if (is("-pretty")) options.pretty = true;
    else if (is("-Version")) {
      streams.stdout += "tc utility, iproute2-6.1.0, libbpf 1.1.2\n";
      return 0;
    } else if (is("-help")) throw new ToolExit(0, TC);
    else if (!is("-raw") && !is("-iec") && !is("-oneline") && !is("-Numeric") && !is("-color") && !is("-timestamp")) {
      throw new ToolExit(255, `Option "${option}" is unknown, try "tc -help".\n`);
    }
  }
  const words = new Words(args.slice(at));
  const name = words.word;
  if (name === undefined || abbreviates(name, "help")) throw new ToolExit(0, TC);
  if (!["qdisc", "class", "filter", "chain", "actions", "monitor", "exec"].some((object) => abbreviates(name, object))) {
    throw new ToolExit(255, `Object "${name}" is unknown, try "tc help".\n`);
  }
  words.skip();
  const object = abbreviates(name, "qdisc") ? "qdisc" : abbreviates(name, "class") ? "class" : "filter";
  const verb = words.word ?? "show";
  words.skip();
  if (abbreviates(verb, "help")) throw new ToolExit(255, TC_QDISC);
  const changing = ["add", "change", "replace", "link", "delete"].some((one) => abbreviates(verb, one));
  if (!changing && !["list", "show", "lst", "get"].some((one) => abbreviates(verb, one))) {
    throw new ToolExit(255, `Command "${verb}" is unknown, try "tc ${object} help".\n`);
  }
  let dev: string | undefined;
  for (; words.word !== undefined; words.skip()) if (words.word === "dev") dev = words.next();
  const links = linkRecords(host.netns);
  if (dev !== undefined && links.every((link) => link.name !== dev)) throw noDevice(dev);
  if (changing) throw answers("Operation not supported");
  if (object !== "qdisc") return 0;
  const p = new Printer(options.json, options.pretty);
  p.array(undefined, () => {
    for (const link of links) {
      if (!link.up || (dev !== undefined && link.name !== dev)) continue;
      p.object(undefined, () => {
        p.any("kind", "noqueue", "qdisc noqueue ");
        p.any("handle", "0:", "0: ");
        if (dev === undefined) p.any("dev", link.name, `dev ${link.name} `);
        p.any("root", true, "root ");
        p.any("refcnt", 2, "refcnt 2 ");
        p.object("options", () => {});
        if (options.stats) {
          for (const key of ["bytes", "packets", "drops", "overlimits", "requeues", "backlog", "qlen"]) p.js(key, 0);
          p.fp("\n Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0) \n backlog 0b 0p requeues 0");
        }
        p.fp("\n");
      });
    }
  });
  streams.stdout += p.take();
  return 0;
}
