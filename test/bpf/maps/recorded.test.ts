// What the kernel answered to the questions of cases.ts (recorded/, made by record.mjs) is what our maps answer.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { PROGRAM_SCRIPTS, SCRIPTS, answersOf, creations, innerMaps, play, playPrograms } from "./cases.ts";
import { ourTarget } from "./target.ts";

const recorded = (name: string): unknown => JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), "utf8")).answers;

/** The lines whose answers differ, with what the kernel answered. */
function compare(lines: readonly string[], expected: readonly string[]): void {
  const answers = answersOf(lines);
  expect(answers.length).toBe(expected.length);
  expect(lines.map((line, i) => `${i} ${line} | ${expected[i]}`).filter((_, i) => answers[i] !== expected[i])).toEqual([]);
}

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
    compare(play(await ourTarget(), script, seed), answers[script.name]!);
  });

  const programs = recorded("programs") as Record<string, string[]>;
  const both = PROGRAM_SCRIPTS.flatMap((script, i) => [true, false].map((verified) => ({ ...script, seed: i + 100, verified })));
  test.each(both)("programs with $name, verified: $verified", async ({ seed, verified, ...script }) => {
    compare(playPrograms(await ourTarget(verified), script, seed), programs[script.name]!);
  });
});
