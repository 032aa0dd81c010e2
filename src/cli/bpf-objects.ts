/** `kubewire bpf plugin --objects`: cases of objects and questions to the verifier, one JSON object a line in, one a line out. */
import { runCase, verdictOf, verdictOfObject, type CaseOptions, type ObjectCase, type VerdictRequest } from "../bpf/cases.ts";
import { BpfObjectError } from "../bpf/errors.ts";
import { KernelInstance, newKernelMemory } from "../kernel/memory.ts";
import type { CliHost } from "../platform.ts";

type Request =
  | { readonly op: "case"; readonly elf: string; readonly case: ObjectCase }
  | { readonly op: "verify_elf"; readonly elf: string }
  | ({ readonly op: "verify" } & VerdictRequest);

/** Answers until `lines` end; exit status 0. */
export async function objectsProtocol(host: CliHost, lines: AsyncIterable<string>, options: CaseOptions): Promise<number> {
  const { platform } = host;
  const instance = new KernelInstance(await platform.loadKernel(platform.sharedMemory), newKernelMemory(platform.sharedMemory));
  for await (const line of lines) {
    if (line.trim() === "") continue;
    host.stdout(`${JSON.stringify(await answer(host, instance, line, options))}\n`);
  }
  return 0;
}

async function answer(host: CliHost, instance: KernelInstance, line: string, options: CaseOptions): Promise<object> {
  try {
    const request = JSON.parse(line) as Request;
    switch (request.op) {
      case "case":
        return runCase(instance, await host.readFile(request.elf), objectName(request.elf), request.case, options);
      case "verify": {
        const { verdict, message } = verdictOf(request);
        return { verdict, message };
      }
      case "verify_elf":
        return await verifyElf(host, request.elf);
      default:
        return { error: `unknown op ${JSON.stringify((request as { readonly op?: unknown }).op)}` };
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

async function verifyElf(host: CliHost, path: string): Promise<object> {
  const bytes = await host.readFile(path);
  try {
    return verdictOfObject(bytes, objectName(path));
  } catch (error) {
    if (error instanceof BpfObjectError) return { verdict: "reject", message: error.message };
    throw error;
  }
}

/** libbpf's name of an object: the file's, up to its first dot. */
export const objectName = (path: string): string => path.slice(path.lastIndexOf("/") + 1).split(".")[0]!;
