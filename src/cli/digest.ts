/** `kubewire digest`. */
import { digest } from "../digest.ts";
import type { CliHost } from "../platform.ts";
import { readScenario, type ScenarioOptions } from "./scenario.ts";

interface Options extends ScenarioOptions {
  readonly seed: number;
  readonly loss: number;
  readonly workers: number;
  readonly frames?: string;
}

const LINES_PER_CHUNK = 4096;

/** Prints the digest; with `--frames FILE` writes what it was made of. */
export const digestCommand = async (host: CliHost, options: Options): Promise<number> => {
  const { seed, loss, workers, frames } = options;
  const scenario = await readScenario(host, options);
  const result = await digest(host.platform, { scenario, seed, loss, workers, frames: frames !== undefined });
  host.stdout(`${result.sha256}\n`);
  if (frames !== undefined && result.lines !== undefined) await host.writeFile(frames, encode(result.lines));
  return 0;
};

function* encode(lines: readonly string[]): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (let i = 0; i < lines.length; i += LINES_PER_CHUNK) {
    yield encoder.encode(lines.slice(i, i + LINES_PER_CHUNK).join("\n") + "\n");
  }
}
