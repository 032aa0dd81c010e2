/**
 * A plugin as a process: CNI_* variables and stdin in, exit code and stdout out, with every check the real binaries make.
 * Follows containernetworking/cni pkg/skel/skel.go and pkg/utils/utils.go.
 */
import { asCniError, CNI_ERROR, CniError, resultAs, SUPPORTED_VERSIONS, type CniCall, type CniFiles, type CniPlugin, type NetConf } from "./types.ts";
import type { Netns } from "../kernel/netns.ts";
import type { Random } from "../time/clock.ts";

export interface PluginProcess {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** The node that a plugin runs on. */
export interface PluginHost {
  readonly host: Netns;
  /** The namespace of a path, undefined when there is none. */
  readonly openNetns: (path: string) => Netns | undefined;
  readonly files: CniFiles;
  readonly random: Random;
  readonly plugins: ReadonlyMap<string, CniPlugin>;
}

/** What each command needs, in the order errors list it. */
const REQUIRED: readonly (readonly [variable: string, commands: readonly string[]])[] = [
  ["CNI_CONTAINERID", ["ADD", "CHECK", "DEL"]], ["CNI_NETNS", ["ADD", "CHECK"]], ["CNI_IFNAME", ["ADD", "CHECK", "DEL"]],
  ["CNI_PATH", ["ADD", "CHECK", "DEL", "GC", "STATUS"]],
];

/** Runs `plugin`; never throws. `stdout` is a JSON value, null for nothing. */
export function runPlugin(plugin: CniPlugin, { env, stdin }: PluginProcess, node: PluginHost): { exit: number; stdout: unknown } {
  try {
    return { exit: 0, stdout: main(plugin, env, stdin, node) };
  } catch (error) {
    const cni = error instanceof CniError ? error : new CniError(CNI_ERROR.internal, error instanceof Error ? error.message : String(error));
    return { exit: 1, stdout: cni.toObject() };
  }
}

function main(plugin: CniPlugin, env: Readonly<Record<string, string>>, stdin: string, node: PluginHost): unknown {
  const command = env["CNI_COMMAND"] ?? "";
  if (command === "") return null; // the real ones tell what they are, on stderr
  const missing = REQUIRED.filter(([name, commands]) => commands.includes(command) && (env[name] ?? "") === "").map(([name]) => name);
  if (missing.length > 0) throw new CniError(CNI_ERROR.invalidEnvironment, `required env variables [${missing.join(",")}] missing`);
  if (command === "VERSION") return { cniVersion: "1.1.0", supportedVersions: SUPPORTED_VERSIONS };
  if (!["ADD", "CHECK", "DEL", "GC", "STATUS"].includes(command)) {
    throw new CniError(CNI_ERROR.invalidEnvironment, `unknown CNI_COMMAND: ${command}`);
  }
  const conf = readConf(stdin);
  if (["ADD", "CHECK", "DEL"].includes(command)) checkNames(env);
  const version = conf.cniVersion === undefined || conf.cniVersion === "" ? "0.1.0" : conf.cniVersion;
  if (!(SUPPORTED_VERSIONS as readonly string[]).includes(version)) {
    throw new CniError(CNI_ERROR.incompatibleVersion, "incompatible CNI versions",
      `config is "${version}", plugin supports [${SUPPORTED_VERSIONS.map((v) => `"${v}"`).join(" ")}]`);
  }
  const at = (SUPPORTED_VERSIONS as readonly string[]).indexOf(version);
  const since = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" }[command];
  if (since !== undefined && at < (SUPPORTED_VERSIONS as readonly string[]).indexOf(since)) {
    throw new CniError(CNI_ERROR.incompatibleVersion, `config version does not allow ${command}`);
  }
  // These plugins answer both with nothing: as of v1.7 host-local keeps what GC does not name.
  if (command === "GC" || command === "STATUS") return null;
  const path = env["CNI_NETNS"] ?? "";
  const netns = path === "" ? undefined : node.openNetns(path);
  if (netns === undefined && command !== "DEL" && plugin.type !== "host-local") {
    throw new CniError(CNI_ERROR.internal, `failed to open netns "${path}": failed to Statfs "${path}": no such file or directory`);
  }
  const call: CniCall = {
    host: node.host, netns, netnsPath: path, containerId: env["CNI_CONTAINERID"]!, ifName: env["CNI_IFNAME"]!,
    ...(env["CNI_ARGS"] === undefined ? {} : { args: env["CNI_ARGS"] }),
    files: node.files, random: node.random, plugins: node.plugins,
  };
  return asCniError(() => {
    if (command === "ADD") return resultAs(plugin.add(conf, call), version);
    if (command === "CHECK") plugin.check(conf, call);
    else plugin.del(conf, call);
    return null;
  });
}

function readConf(stdin: string): NetConf {
  const bad = (why: string): never => { throw new CniError(CNI_ERROR.decoding, `error unmarshall network config: ${why}`); };
  let conf: unknown;
  try {
    conf = JSON.parse(stdin);
  } catch {
    return bad("unexpected end of JSON input");
  }
  if (Array.isArray(conf)) return bad('json: cannot unmarshal array into Go value of type struct { Name string "json:\\"name\\"" }');
  const name = (conf as NetConf).name;
  if (name === undefined || name === "") throw new CniError(CNI_ERROR.invalidNetworkConfig, "missing network name");
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw new CniError(CNI_ERROR.invalidNetworkConfig, "invalid characters found in network name", name);
  return conf as NetConf;
}

function checkNames(env: Readonly<Record<string, string>>): void {
  const id = env["CNI_CONTAINERID"]!, ifName = env["CNI_IFNAME"]!;
  const bad = (message: string, details = ""): never => { throw new CniError(CNI_ERROR.invalidEnvironment, message, details); };
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)) bad("invalid characters in containerID", id);
  if (ifName.length > 15) bad("interface name is too long", "interface name should be less than 16 characters");
  if (ifName === "." || ifName === "..") bad("interface name is . or ..");
  if (/[/:\s]/.test(ifName)) bad("interface name contains / or : or whitespace characters");
}

/** CNI_ARGS as pairs (pkg/types/args.go: LoadArgs): what is not `known` is an error unless IgnoreUnknown is set. */
export function loadArgs(text: string | undefined, known: readonly string[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  const unknown: string[] = [];
  for (const pair of (text ?? "") === "" ? [] : text!.split(";")) {
    const at = pair.indexOf("=");
    if (at < 0) throw new CniError(CNI_ERROR.internal, `ARGS: invalid pair "${pair}"`);
    const name = pair.slice(0, at);
    out.set(name, pair.slice(at + 1));
    if (!known.includes(name) && name !== "IgnoreUnknown") unknown.push(`"${pair}"`);
  }
  const ignore = ["1", "true"].includes((out.get("IgnoreUnknown") ?? "").toLowerCase());
  if (unknown.length > 0 && !ignore) throw new CniError(CNI_ERROR.internal, `ARGS: unknown args [${unknown.join(" ")}]`);
  return out;
}
