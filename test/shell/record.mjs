// Records what busybox says to the snippets beside this file: `node test/shell/record.mjs` (needs `apt-get install busybox-static`).
// Each snippet of snippets.txt and applets.txt runs in an empty folder.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { snippetsOf } from "./snippets.mjs";

const here = new URL("./", import.meta.url);
const version = execFileSync("busybox", ["sh", "-c", "busybox | head -1"]).toString().trim();
for (const name of ["snippets", "applets"]) {
  const recorded = [];
  for (const script of snippetsOf(readFileSync(new URL(`${name}.txt`, here), "latin1"))) {
    const folder = mkdtempSync(join(tmpdir(), "snippets-"));
    const ran = spawnSync("busybox", ["sh", "-c", script], {
      cwd: folder, input: "", timeout: 10_000, encoding: "latin1", env: { PATH: "/bin:/usr/bin", HOME: "/root", LC_ALL: "C", TZ: "UTC" },
    });
    rmSync(folder, { recursive: true, force: true });
    recorded.push({ script, code: ran.status ?? 128 + 9, stdout: ran.stdout, stderr: ran.stderr });
  }
  writeFileSync(new URL(`${name}.json`, here), `${JSON.stringify({ version, recorded }, undefined, 1)}\n`, "latin1");
}
