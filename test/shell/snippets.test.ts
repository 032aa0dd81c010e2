/** What the shell and the applets say, beside what busybox said to the same (record.mjs). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { newBox } from "./machine.ts";

interface Recorded {
  readonly script: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const recorded = (name: string): readonly Recorded[] => (JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), "latin1")) as { recorded: Recorded[] }).recorded;

/** The recorded program runs its applets without a file: names of commands have no path. */
const plain = (text: string): string => text.replaceAll("/bin/", "").replace(/^BusyBox v.* multi-call binary\.$/gm, "BusyBox");

for (const name of ["snippets", "applets"]) {
  for (const { script, code, stdout, stderr } of recorded(name)) {
    test(`${name}: ${script}`, async () => {
      const box = newBox({ workingDir: "/work", env: { HOME: "/root", PATH: "/bin:/usr/bin", LC_ALL: "C", TZ: "UTC" } });
      box.start(["sleep", "infinity"]);
      const ran = await box.run(["sh", "-c", script]);
      expect({ stdout: plain(Buffer.from(ran.bytes).toString("latin1")), code: ran.code, stderr: plain(ran.stderr) }).toEqual({ stdout: plain(stdout), code, stderr: plain(stderr) });
    });
  }
}
