/** Corrupt objects: opening and linking either works or throws BpfObjectError, nothing else, and soon. */
import { readdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { BpfObjectError } from "../../../src/bpf/errors.ts";
import { kernelBtf } from "../../../src/bpf/kernel-btf.ts";
import { linkObject } from "../../../src/bpf/link.ts";
import { openObject } from "../../../src/bpf/object.ts";
import { dice } from "../../kernel/fuzz/random.ts";
import { corrupt } from "./corrupt.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const COUNT = Number(process.env["KUBEWIRE_FUZZ"] ?? 1500);
const shared = pathToFileURL(`${resolve(process.env["KUBEWIRE_SHARED"] ?? "../shared")}/`);

test("corrupt objects are refused with a reason", () => {
  const folder = new URL("bpf/samples/build/v3/", shared);
  const objects = readdirSync(folder).sort().map((name) => new Uint8Array(readFileSync(new URL(name, folder))));
  expect(objects.length).toBeGreaterThan(3);
  const target = { btf: kernelBtf(), version: 0x061200, config: {} };
  let [opened, refused] = [0, 0];
  for (let number = 0; number < COUNT; number++) {
    const d = dice(SEED, number, 5);
    const bytes = corrupt(d, d.pick(objects));
    try {
      linkObject(openObject(bytes), target);
      opened++;
    } catch (error) {
      if (!(error instanceof BpfObjectError)) throw new Error(`seed ${SEED}, object ${number}: ${(error as Error).stack}`, { cause: error });
      expect(error.message.length).toBeGreaterThan(0);
      refused++;
    }
  }
  // Both ends of the scale are reached.
  expect(opened).toBeGreaterThan(COUNT / 20);
  expect(refused).toBeGreaterThan(COUNT / 20);
});
