/** The parity scenario as a job of the harness: `npm run digest` runs it in every runtime. */
import { digest } from "../../../src/digest.ts";
import type { Platform } from "../../../src/platform.ts";

interface Args {
  /** Which kernel to run; `true` needs a platform that can share memory. */
  readonly shared: boolean;
  readonly options: Parameters<typeof digest>[1];
}

export async function main(platform: Platform, { shared, options }: Args): Promise<{ sha256: string }> {
  if (shared && !platform.sharedMemory) throw new Error(`${platform.name} cannot share memory here`);
  const { sha256 } = await digest({ ...platform, sharedMemory: shared }, options);
  return { sha256 };
}
