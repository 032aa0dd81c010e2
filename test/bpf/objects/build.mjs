// Objects of this folder's sources, by Debian's clang.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Instruction sets that clang knows: v3 has 32-bit jumps and all atomics. */
export const LEVELS = ["v2", "v3"];

/** Builds NAME.c into `folder`; returns the object's path. What is there already stays. */
export function buildObject(name, level, folder, source = import.meta.dirname) {
  const file = join(folder, `${name}.${level}.o`);
  if (existsSync(file)) return file;
  execFileSync("clang", [
    "-O2", "-g", "-target", "bpf", `-mcpu=${level}`, ...(level === "v3" ? ["-DV3"] : []), "-I/usr/include/x86_64-linux-gnu", "-Wall", "-Wno-visibility",
    "-Wno-unused-variable", "-Wno-unused-but-set-variable", "-c", join(source, `${name}.c`), "-o", file,
  ], { stdio: ["ignore", "ignore", "inherit"] });
  return file;
}
