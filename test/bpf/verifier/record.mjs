// node test/bpf/verifier/record.mjs (Linux 6.18, root): asks this machine's kernel about every program of cases.ts, with all
// capabilities and with CAP_BPF and CAP_NET_ADMIN alone, and writes what it says to kernel.json beside this file.
import { writeFileSync } from "node:fs";
import { release } from "node:os";
import { importTs } from "../../../scripts/lib/run-ts.mjs";

const root = new URL("../../../", import.meta.url);
const { startHost } = await importTs(root, "test/bpf/host/host.ts");
const { ERRNO } = await importTs(root, "test/bpf/host/names.ts");
const { CASES } = await importTs(root, "test/bpf/verifier/cases.ts");

const lastLine = (log) => log.trimEnd().split("\n").filter((line) => !line.startsWith("processed ")).at(-1)?.replace(/processed \d+ insns .*/, "") ?? "";
const verdicts = {};
for (const caps of ["all", "bpf"]) {
  const host = startHost({ root, caps });
  const fds = new Map();
  for (const { name, type, attach, license, maps, relocs, program_hex: hex } of CASES) {
    for (const [map, spec] of Object.entries(maps)) {
      if (fds.has(map)) continue;
      const { spin_lock: spinLock, ...rest } = spec;
      fds.set(map, host.createMap({ ...rest, name: map, ...(spinLock === undefined ? {} : { spinLock }) }));
    }
    const program = {
      type, attach, license, insns: new Uint8Array(Buffer.from(hex, "hex")),
      relocs: relocs.map(({ slot, kind, name: map, addend }) => ({ slot, kind, fd: fds.get(map), addend })),
    };
    // Without a log first: a log that is too long has an error of its own.
    const { fd, errno } = host.load(program);
    const { fd: again, log } = host.load({ ...program, logLevel: 1 });
    if (again >= 0) host.close(again);
    (verdicts[name] ??= {})[caps] = fd >= 0 ? "accept" : [ERRNO[errno] ?? String(errno), lastLine(log)];
    if (fd >= 0) host.close(fd);
  }
  host.end?.();
}
const lines = Object.entries(verdicts).map(([name, verdict]) => `  ${JSON.stringify(name)}: ${JSON.stringify(verdict)}`);
writeFileSync(new URL("kernel.json", import.meta.url), `{\n "kernel": ${JSON.stringify(release())},\n "verdicts": {\n${lines.join(",\n")}\n }\n}\n`);
process.stdout.write(`${CASES.length} programs\n`);
process.exit(0);
