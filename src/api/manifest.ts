/**
 * Manifests: multi-document YAML or JSON into objects, each with the line it starts at. What is wrong is said with the
 * file and, where there is one, the line; the words are kubectl's.
 */
import { LineCounter, parseAllDocuments } from "yaml";
import { decodeStruct, DecodeError } from "./schema.ts";
import { RESOURCES, resourceFor, type Resources } from "./resources.ts";
import type { Wanted } from "./apply.ts";
import type { KubeObject } from "../apimachinery/meta.ts";

/** An object, and where it was written. */
export interface Manifest extends Wanted {
  readonly file: string;
  /** The first line of the document, from 1. */
  readonly line: number;
}

/** A manifest that cannot be used. `message` names the file and the line. */
export class ManifestError extends Error {
  readonly file: string;
  readonly line: number | undefined;

  constructor(file: string, line: number | undefined, message: string) {
    super(message);
    this.file = file;
    this.line = line;
  }
}

/** All objects of a file, `List` kinds opened. Throws {@link ManifestError} for the first problem. */
export function parseManifests(text: string, fileName: string, resources: Resources = RESOURCES): Manifest[] {
  const lines = new LineCounter();
  const out: Manifest[] = [];
  for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })) {
    if (!("errors" in document)) break;
    const problem = document.errors[0];
    if (problem !== undefined) {
      const { line } = lines.linePos(problem.pos[0]);
      throw new ManifestError(fileName, line, `error parsing ${fileName}: error converting YAML to JSON: yaml: line ${line}: ${problem.message}`);
    }
    const value = document.toJS() as unknown;
    if (value === null || value === undefined) continue;
    const start = document.contents?.range?.[0] ?? document.range[0];
    collect(value, fileName, lines.linePos(start).line, out, resources);
  }
  return out;
}

function collect(value: unknown, file: string, line: number, out: Manifest[], resources: Resources): void {
  const fail = (message: string): never => {
    throw new ManifestError(file, line, `error validating "${file}" (line ${line}): ${message}`);
  };
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail("error validating data: not an object");
  const { apiVersion, kind, items } = value as { apiVersion?: unknown; kind?: unknown; items?: unknown };
  const missing = [typeof apiVersion === "string" ? "" : "apiVersion not set", typeof kind === "string" ? "" : "kind not set"].filter((m) => m !== "");
  if (missing.length > 0) fail(`error validating data: [${missing.join(", ")}]`.replace(/\[([^,]*)\]/, "$1"));
  if (kind === "List" && apiVersion === "v1") {
    for (const item of Array.isArray(items) ? items : []) collect(item, file, line, out, resources);
    return;
  }
  const resource = resourceFor(apiVersion as string, kind as string, resources);
  if (resource === undefined) {
    throw new ManifestError(file, line,
      `resource mapping not found for name: "${String((value as { metadata?: { name?: unknown } }).metadata?.name ?? "")}" namespace: "${String((value as { metadata?: { namespace?: unknown } }).metadata?.namespace ?? "")}" from "${file}" (line ${line}): no matches for kind "${String(kind)}" in version "${String(apiVersion)}"\nensure CRDs are installed first`);
  }
  const report = { strict: [] as string[] };
  try {
    decodeStruct(resource!.type ?? resource!.kind, value, report);
  } catch (e) {
    if (!(e instanceof DecodeError)) throw e;
    fail(`${kind as string} in version "${(apiVersion as string).split("/").pop()}" cannot be handled as a ${resource!.kind}: ${e.message}`);
  }
  if (report.strict.length > 0) {
    throw new ManifestError(file, line, `Error from server (BadRequest): error when creating "${file}" (line ${line}): ${kind as string} in version "${(apiVersion as string).split("/").pop()}" cannot be handled as a ${resource!.kind}: strict decoding error: ${report.strict.join(", ")}`);
  }
  out.push({ object: value as KubeObject, resource: resource!, file, line });
}
