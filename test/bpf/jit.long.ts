// A hundred thousand random programs through the kernel's interpreter and the checked compiler: result, memory, fault, slot and fuel.
import { expect, test } from "vitest";
import { jit } from "../../src/bpf/jit/install.ts";
import { bpfMachine } from "./machine.ts";
import { PACKET, randomOf, structured, wild } from "./programs.ts";

const PROGRAMS = 100_000;

test("both engines end alike", async () => {
  const { instance, programs } = await bpfMachine("release");
  const memory = Uint8Array.from({ length: PACKET }, (_, at) => (at * 37) & 0xff);
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const program = (seed % 2 === 0 ? structured : wild)(randomOf(seed + 900_000_000));
    const loaded = programs.load({ type: 6, program });
    const fuel = BigInt(1 + (seed * 7) % 5000);
    const interpreted = loaded.run(memory, { fuel });
    const compiled = jit(instance, loaded, program, { checked: true });
    const told = `seed ${seed} ${Buffer.from(program).toString("hex")}`;
    if (!compiled.jited) throw new Error(`${told}: ${compiled.reason}`);
    const got = loaded.run(memory, { fuel });
    if (got.r0 !== interpreted.r0 || got.fuelLeft !== interpreted.fuelLeft || got.fault?.message !== interpreted.fault?.message || Buffer.compare(got.memory, interpreted.memory) !== 0) {
      expect({ told, ...got }).toEqual({ told, ...interpreted });
    }
    compiled.remove();
    loaded.free();
  }
}, 3_600_000);
