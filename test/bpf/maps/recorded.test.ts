// What the kernel answered to the questions of cases.ts (recorded/, made by record.mjs) is what our maps answer.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SCRIPTS, creations, innerMaps, play } from "./cases.ts";
import { ourTarget } from "./target.ts";

const recorded = (name: string): unknown => JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), "utf8")).answers;

describe("maps answer as the kernel does", () => {
  test("to BPF_MAP_CREATE: types, sizes, flags", async () => {
    const target = await ourTarget();
    const expected = (recorded("creations") as string).split(" ").flatMap((run) => {
      const [errno, times = 1] = run.split("x").map(Number);
      return Array.from({ length: times }, () => errno!);
    });
    const inner = target.create({ type: 2, key: 4, value: 4, entries: 4 }).fd;
    const wrong: string[] = [];
    let i = 0;
    for (const question of creations()) {
      const { errno, fd } = target.create({ ...question, inner: question.type === 12 || question.type === 13 ? inner : 0 });
      if (errno === 0) target.close(fd);
      if (errno !== expected[i]) wrong.push(`${JSON.stringify(question)}: ${errno}, the kernel ${expected[i]}`);
      i++;
    }
    expect(i).toBe(expected.length);
    expect(wrong).toEqual([]);
  });

  test("to inner maps of maps", async () => {
    expect(innerMaps(await ourTarget())).toEqual(recorded("inner-maps"));
  });

  const answers = recorded("scripts") as Record<string, string[]>;
  test.each(SCRIPTS.map((script, i) => ({ ...script, seed: i + 1 })))("$name", async ({ seed, ...script }) => {
    expect(play(await ourTarget(), script, seed)).toEqual(answers[script.name]);
  });
});
