/**
 * Modules that are loaded on use, while a cluster runs. Loading takes a machine's time, and none of the cluster's: the loop goes on when it
 * is done, so what happens in virtual time does not depend on how fast that was.
 */
import type { Platform } from "../platform.ts";

let loading = 0;

/** `await loaded(import("./module.ts"))`, and whatever else is done outside of the cluster. */
export async function loaded<T>(module: Promise<T>): Promise<T> {
  loading++;
  try {
    return await module;
  } finally {
    loading--;
  }
}

/** A macrotask of its own, and more while something is being loaded: by then all promises that could settle have settled. */
export const hopOf = (platform: Platform) => async (): Promise<void> => {
  do await new Promise<void>((resolve) => platform.hop(resolve));
  while (loading > 0);
};
