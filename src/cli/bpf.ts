/** `kubewire bpf`: eBPF objects and programs from the command line. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
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

  const whole = (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError("expected a whole number");
    return value;
  };
  const command = (name: string, description: string): Command =>
    program.command(name).description(description).argument("<object>", "an object built by clang -target bpf").option("--json", "print data", false);
  const inspect = (): Promise<typeof import("./bpf-inspect.ts")> => import("./bpf-inspect.ts");

  command("run", "load an object and run one of its programs on a packet or context of bytes, as BPF_PROG_TEST_RUN does")
    .option("--prog <name>", "the program, where the object has several")
    .option("--data-in <bytes>", "the packet from its Ethernet header on: a file, or hex")
    .option("--ctx <bytes>", "the context as uapi/linux/bpf.h has it: a file, or hex")
    .option("--repeat <n>", "how often", whole, 1)
    .option("--maps", "print the maps afterwards", false)
    .option("--checked", "check every access to memory once more", false)
    .option("--no-verify", "without the verifier, but checked")
    .option("--log-level <n>", "of the verifier", whole, 1)
    .addOption(engine)
    .action(async (object: string, options) => {
      status = await (await inspect()).bpfRun(host, object, options);
    });

  command("verify", "verify the programs of an object and print the log")
    .option("--prog <name>", "this program alone")
    .option("--log-level <n>", "1: what led to a refusal, 2: every state, 4: statistics", whole, 1)
    .addOption(new Option("--caps <caps>", "all capabilities, or CAP_BPF without CAP_PERFMON").choices(["all", "bpf"]).default("all"))
    .action(async (object: string, options) => {
      status = await (await inspect()).bpfVerify(host, object, options);
    });

  command("disasm", "print the programs of an object, linked, with their source lines")
    .option("--prog <name>", "this program alone")
    .option("--bytes", "the instructions' bytes, too", false)
    .option("--no-source", "without source lines")
    .action(async (object: string, options) => {
      status = await (await inspect()).bpfDisasm(host, object, options);
    });

  command("maps", "print the maps of an object, or what one of them holds once it is loaded")
    .argument("[map]", "its contents")
    .action(async (object: string, map: string | undefined, options) => {
      status = await (await inspect()).bpfMaps(host, object, map, options);
    });

  try {
    await program.parseAsync(args as string[], { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
};
