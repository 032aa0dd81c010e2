/** `kubewire`, the command: parses what was typed, calls what was meant. The host (files, output) is handed in. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { CliHost } from "../platform.ts";
import { demoCommand } from "./demo.ts";
import { digestCommand } from "./digest.ts";
import { replayCommand } from "./replay.ts";

const number = (minimum: number, whole: boolean) => (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < minimum || (whole && !Number.isInteger(value))) {
    throw new InvalidArgumentError(`expected a ${whole ? "whole " : ""}number of at least ${minimum}`);
  }
  return value;
};

const gather = (value: string, before: readonly string[]): string[] => [...before, value];

/** Runs one command line; resolves with the exit status. */
export const main = async (host: CliHost): Promise<number> => {
  let status = 0;
  const run = <O>(command: (host: CliHost, options: O) => Promise<number>) => async (options: O): Promise<void> => {
    status = await command(host, options);
  };
  const program = new Command("kubewire")
    .description("A whole Kubernetes cluster, down to the packets")
    .version(host.version)
    .exitOverride()
    .configureOutput({ writeOut: host.stdout, writeErr: host.stderr });

  program
    .command("demo")
    .description("boot a cluster, apply manifests, send one request and print its journey, packet by packet")
    .option("--json", "print the same as data", false)
    .option("--pcap <file>", "where the capture goes", "demo.pcapng")
    .option("-f, --filename <path>", "a manifest, or a folder of them, instead of examples/first-run")
    .option("--from <pod>", "the pod that asks: NAME or NAMESPACE/NAME", "shop/client")
    .option("--to <url>", "what it asks for", "http://web.shop.svc.cluster.local/")
    .option("--nodes <n>", "how many nodes", number(1, true), 3)
    .option("--seed <n>", "decides everything that is left to chance", number(0, true), 1)
    .option("--loss <share>", "share of frames that every link loses", number(0, false), 0)
    .option("--run <command>", "a command on a node before the request, such as 'node-1 iptables -I FORWARD -j DROP' or 'node-1 iptables-save'; may be repeated", gather, [])
    .action(run(demoCommand));

  program
    .command("digest")
    .description("run the parity scenario in this runtime and print its SHA-256")
    .option("-f, --filename <path>", "a manifest, or a folder of them, instead of examples/first-run")
    .option("--from <pod>", "the pod that asks: NAME or NAMESPACE/NAME", "shop/client")
    .option("--to <url>", "what it asks for", "http://web.shop.svc.cluster.local/")
    .option("--seed <n>", "decides everything that is left to chance", number(0, true), 1)
    .option("--loss <share>", "share of frames that every link loses", number(0, false), 0)
    .option("--workers <n>", "threads for the nodes", number(0, true), 0)
    .option("--frames <file>", "write what is digested as lines of JSON")
    .action(run(digestCommand));

  program
    .command("replay")
    .description("replay a case of the netfilter oracle, or a capture through a real node's rules")
    .argument("[case]", "a case: interfaces, rules and packets as JSON")
    .option("--json", "print the result as data", false)
    .addOption(new Option("--format <format>", "how packets are told").choices(["journey", "trace", "nft"]).default("journey"))
    .option("--iptables <file>", "what iptables-save printed on the node")
    .option("--nft <file>", "what nft list ruleset printed, beside iptables' rules or instead of them")
    .option("--ipset <file>", "what ipset save printed")
    .option("--routes <file>", "what ip route show table all, ip addr, ip link, ip rule and ip neigh printed, text or JSON, one after the other")
    .option("--pcap <file>", "the packets: pcap or pcapng")
    .option("--out <file>", "write all frames with what happened to them as pcapng")
    .action(async (file: string | undefined, options: Parameters<typeof replayCommand>[2]) => {
      status = await replayCommand(host, file, options);
    });

  program
    .command("codegen")
    .description("write types, deep copies, typed client, lister and informer for kinds of one's own")
    .argument("<files...>", "CustomResourceDefinitions in YAML, or TypeScript with tagged interfaces")
    .option("-o, --out <dir>", "the folder that the files go to", ".")
    .action(async (files: string[], options: { out: string }) => {
      status = await (await import("./codegen.ts")).codegenCommand(host, files, options);
    });

  // Its flags are many, and read the way kube-apiserver reads them.
  program.command("up").description("boot a cluster in real time and serve its API over HTTPS, for kubectl and client libraries").usage("[flags]");

  program.command("bpf").description("run, verify and look into eBPF objects: kubewire bpf --help").usage("COMMAND");

  try {
    if (host.args[0] === "bpf") return await (await import("./bpf.ts")).bpfCommandLine(host, host.args.slice(1));
    if (host.args[0] === "up") return await (await import("./up.ts")).upCommandLine(host, host.args.slice(1));
    await program.parseAsync(host.args as string[], { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    host.stderr(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
};
