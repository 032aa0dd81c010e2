// Small things all instruction checks share. kernel/bpf/verifier.c: check_reg_arg.

import type { Env } from "./env.ts";
import { NOT_INIT } from "./reg.ts";

/**
 * check_reg_arg: "src" wants a register that holds something; "dst" makes it unknown; "dst-no-mark" only checks that it
 * may be written, as the caller sets it.
 */
export function checkRegArg(env: Env, regno: number, use: "src" | "dst" | "dst-no-mark"): void {
  if (regno >= 11) env.reject("EINVAL", `R${regno} is invalid`);
  env.markRegScratched(regno);
  const reg = env.cur.frames[env.cur.curframe]!.regs[regno]!;
  if (use === "src") {
    if (reg.type === NOT_INIT) env.reject("EACCES", `R${regno} !read_ok`);
    return;
  }
  if (regno === 10) env.reject("EACCES", "frame pointer is read only");
  if (use === "dst") reg.markUnknown(false);
}
