import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { verify } from "../../../src/bpf/verifier/index.ts";
import { programSpec, type RecordedProgram } from "./request.ts";

interface Verdict {
  readonly verdict: string;
  readonly message?: string;
}

const shared = process.env.KUBEWIRE_SHARED ?? "../shared";
const { programs } = JSON.parse(readFileSync(`${shared}/bpf/samples/verifier.json`, "utf8")) as {
  programs: readonly (RecordedProgram & { kernel_root: Verdict; kernel_bpf_only: Verdict })[];
};

test.each(programs.flatMap((program) => [
  { name: `${program.name}, all capabilities`, program, caps: "all" as const, want: program.kernel_root },
  { name: `${program.name}, CAP_BPF alone`, program, caps: "bpf" as const, want: program.kernel_bpf_only },
]))("recorded verdict: $name", ({ program, caps, want }) => {
  const { verdict, message, log } = verify(programSpec(program, caps), { logLevel: 1 });
  expect({ verdict, message }, log).toEqual({ verdict: want.verdict, message: want.message ?? "" });
});
