/** Node and Deno: a process that prints the outcome as its last line. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import type { Bundle, Outcome } from "./index.ts";

export const runInNode = (bundle: Bundle): Promise<Outcome> => runProcess(process.execPath, [], bundle);

export const runInDeno = (bundle: Bundle): Promise<Outcome> =>
  runProcess(join(bundle.root, "node_modules/.bin/deno"), ["run", "--quiet", "--no-config", "-A"], bundle);

function runProcess(command: string, args: readonly string[], bundle: Bundle): Promise<Outcome> {
  const { root, path, timeoutMs } = bundle;
  return new Promise((resolve, reject) => {
    execFile(
      command,
      [...args, join(root, path), JSON.stringify(bundle.args)],
      { cwd: root, maxBuffer: 1 << 28, timeout: timeoutMs, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        const line = stdout.trimEnd().split("\n").at(-1) ?? "";
        if (line.startsWith("{")) resolve(JSON.parse(line) as Outcome);
        else reject(new Error(`${command} gave no outcome: ${error?.message ?? "it ended early"}\n${stdout}${stderr}`));
      },
    );
  });
}
