/** examples/ebpf as a job of the harness. */
import type { Bpf } from "../../src/bpf/index.ts";
import { run, type Told } from "../../examples/ebpf/example.ts";

type Encoded = Readonly<Record<"firewall" | "balancer" | "drops", string>>;

export function main(bpf: Bpf, objects: Encoded): Promise<Told> {
  const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return run(bpf, { firewall: bytes(objects.firewall), balancer: bytes(objects.balancer), drops: bytes(objects.drops) });
}
