/** `kubewire bpf`: eBPF objects and programs from the command line. */
import { Command, CommanderError, Option } from "commander";
import type { CliHost } from "../platform.ts";

/** Runs `kubewire bpf ARGS`; resolves with the exit status. */
export const bpfCommandLine = async (host: CliHost, args: readonly string[]): Promise<number> => {
  let status = 0;
  const program = new Command("kubewire bpf")
    .description("run, verify and look into eBPF objects")
    .exitOverride()
    .configureOutput({ writeOut: host.stdout, writeErr: host.stderr });
  const engine = new Option("--engine <engine>", "what runs the programs").choices(["interpreter", "jit"]).default("jit");

  program
    .command("plugin")
    .description("run one raw program from stdin as bpf_conformance's plugins do, or serve a protocol of JSON lines")
    .argument("[memory]", "the program's memory in hex")
    .option("--batch", "raw programs, one JSON object a line", false)
    .option("--objects", "objects and verifier questions, one JSON object a line", false)
    .option("--program <hex>", "the program itself, instead of stdin")
    .addOption(engine)
    .action(async (memory: string | undefined, options) => {
      status = await (await import("./bpf-plugin.ts")).bpfPlugin(host, memory, options);
    });

  try {
    await program.parseAsync(args as string[], { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
};
