/**
 * What the tests need beside npm packages: the shared oracle, a Chromium, tshark, iptables. On Debian and as root
 * missing tools are installed by apt; elsewhere this says what to install, and fails.
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { writeDescriptions } from "../../scripts/lib/descriptions.mjs";

/** A needed tool: the first of `commands` that is found is used (a path: a file that has to be there); `packages` are Debian's. */
interface Tool {
  readonly commands: readonly string[];
  readonly packages: readonly string[];
}

const TOOLS: readonly Tool[] = [
  { commands: ["chromium", "chromium-browser", "google-chrome"], packages: ["chromium"] },
  { commands: ["tshark"], packages: ["tshark"] },
  { commands: ["capinfos"], packages: ["wireshark-common"] },
  { commands: ["editcap"], packages: ["wireshark-common"] },
  { commands: ["iptables-legacy-restore", "iptables-restore"], packages: ["iptables"] },
  { commands: ["clang"], packages: ["clang"] },
  { commands: ["llvm-objdump"], packages: ["llvm"] },
  { commands: ["/usr/include/bpf/bpf_helpers.h"], packages: ["libbpf-dev"] },
];

const FOLDERS = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];

function find(command: string): string | undefined {
  if (command.startsWith("/")) return existsSync(command) ? command : undefined;
  for (const folder of FOLDERS) {
    const path = join(folder, command);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}

const missing = (): Tool[] => TOOLS.filter(({ commands }) => !commands.some((command) => find(command) !== undefined));

/** The Chromium to test with. */
export function chromiumPath(): string {
  for (const command of TOOLS[0]!.commands) {
    const path = find(command);
    if (path !== undefined) return path;
  }
  throw new Error("no Chromium found");
}

export default function setup(): void {
  writeDescriptions(new URL("../../", import.meta.url));
  const shared = resolve(process.env["KUBEWIRE_SHARED"] ?? "../shared");
  if (!existsSync(join(shared, "oracle"))) {
    throw new Error(`${shared} has no oracle: put the shared folder beside the checkout or set KUBEWIRE_SHARED`);
  }
  if (missing().length === 0) return;
  const packages = missing().flatMap((tool) => tool.packages);
  if (process.getuid?.() === 0 && find("apt-get") !== undefined) {
    const apt = (...args: string[]): void => {
      execFileSync("apt-get", args, {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
    };
    apt("update", "-qq");
    apt("install", "-y", "-qq", "--no-install-recommends", ...packages);
  }
  const still = missing();
  if (still.length > 0) {
    const what = still.map(({ commands, packages: [name] }) => `${commands[0]} (Debian package ${name})`).join(", ");
    throw new Error(`the tests need ${what}: please install`);
  }
}
