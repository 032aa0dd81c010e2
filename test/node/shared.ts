/** Where the shared recordings lie; every test that needs them fails without. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const SHARED = resolve(process.env["KUBEWIRE_SHARED"] ?? "../shared");

export interface Recording<T> {
  readonly meta: unknown;
  readonly records: readonly T[];
}

export const recording = <T>(name: string): Recording<T> =>
  JSON.parse(readFileSync(`${SHARED}/recordings/network/${name}.json`, "utf8")) as Recording<T>;
