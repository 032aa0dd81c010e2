/** What a pod asks for as a whole. Follows k8s.io/component-helpers/resource/helpers.go (PodRequests, PodLimits). */
import type { Container, PodSpec } from "../api/types.generated.ts";
import { formatQuantity, parseQuantity, type Quantity } from "../apimachinery/quantity.ts";

export interface PodResourcesOptions {
  /** Whether the RuntimeClass's overhead counts (default yes). */
  readonly overhead?: boolean;
}

type List = Map<string, Quantity>;

export function podRequests(spec: PodSpec, options: PodResourcesOptions = {}): Record<string, string> {
  const out = aggregate(spec, (container) => container.resources?.requests);
  if (options.overhead !== false) add(out, read(spec.overhead));
  return write(out);
}

export function podLimits(spec: PodSpec, options: PodResourcesOptions = {}): Record<string, string> {
  const out = aggregate(spec, (container) => container.resources?.limits);
  // Overhead only raises limits that there are.
  if (options.overhead !== false) for (const [name, value] of read(spec.overhead)) if (out.has(name)) add(out, new Map([[name, value]]));
  return write(out);
}

/** The sum of what runs together, or what an init container needs beside the sidecars before it, whichever is more. */
function aggregate(spec: PodSpec, of: (container: Container) => Readonly<Record<string, string>> | undefined): List {
  const out: List = new Map();
  const sidecars: List = new Map();
  const starting: List = new Map();
  for (const container of spec.containers ?? []) add(out, read(of(container)));
  for (const container of spec.initContainers ?? []) {
    const own = read(of(container));
    if (container.restartPolicy === "Always") {
      add(out, own);
      add(sidecars, own);
      most(starting, sidecars);
    } else {
      add(own, sidecars);
      most(starting, own);
    }
  }
  most(out, starting);
  return out;
}

function read(resources: Readonly<Record<string, string>> | undefined): List {
  const out: List = new Map();
  for (const name in resources) out.set(name, parseQuantity(resources[name]!));
  return out;
}

function add(into: List, more: List): void {
  for (const [name, { nano, format }] of more) {
    const own = into.get(name);
    into.set(name, own === undefined || own.nano === 0n ? { nano, format } : { nano: own.nano + nano, format: own.format });
  }
}

function most(into: List, other: List): void {
  for (const [name, value] of other) {
    const own = into.get(name);
    if (own === undefined || value.nano > own.nano) into.set(name, value);
  }
}

function write(list: List): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of list) out[name] = formatQuantity(value);
  return out;
}
