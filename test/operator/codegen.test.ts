/** What `kubewire codegen` writes. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { main } from "../../src/cli/main.ts";
import { fromDefinition } from "../../src/codegen/from-crd.ts";
import { fromTypeScript } from "../../src/codegen/from-typescript.ts";
import { printKind } from "../../src/codegen/print.ts";
import { nodeHost } from "../../runtimes/node/host.ts";
import { deepCopyWebsite, type Website } from "../../examples/operator/generated/websites.ts";
import { deepCopyGadget, newGadgetLister } from "./gadgets/gadgetry.ts";
import type { Gadget } from "./gadgets/types.ts";

const folder = mkdtempSync(join(tmpdir(), "kubewire-codegen-"));
afterAll(() => rmSync(folder, { recursive: true }));
const root = new URL("../../", import.meta.url).pathname;

/** Runs the command; what it says on both channels. */
async function codegen(...args: string[]): Promise<{ status: number; said: string }> {
  let said = "";
  const take = (text: string): void => void (said += text);
  return { status: await main({ ...nodeHost(["codegen", ...args]), stdout: take, stderr: take }), said };
}

test("the example's code is what comes of its definition", async () => {
  expect(await codegen(join(root, "examples/operator/website.crd.yaml"), "-o", folder)).toEqual({ status: 0, said: `${folder}/websites.ts\n` });
  expect(readFileSync(join(folder, "websites.ts"), "utf8")).toBe(readFileSync(join(root, "examples/operator/generated/websites.ts"), "utf8"));
});

test("the gadgets' code and definition are what comes of their types", () => {
  const source = readFileSync(join(root, "test/operator/gadgets/types.ts"), "utf8");
  const [model] = fromTypeScript(source, "./types.ts");
  expect(printKind(model!, "types.ts")).toBe(readFileSync(join(root, "test/operator/gadgets/gadgetry.ts"), "utf8"));
  const definition = parse(readFileSync(join(root, "test/operator/gadgets/gadgetry.crd.yaml"), "utf8"), { version: "1.1" }) as { spec: { scope: string; names: object; versions: { schema: { openAPIV3Schema: object } }[] } };
  expect(definition.spec).toMatchObject({ scope: "Cluster", names: { plural: "gadgetry", kind: "Gadget", shortNames: ["gad", "gt"] } });
  expect(definition.spec.versions[0]!.schema.openAPIV3Schema).toMatchObject({
    required: ["spec"],
    properties: {
      spec: {
        required: ["colours", "enabled"],
        properties: {
          colours: { type: "array", items: { type: "string", enum: ["red", "green", "blue"] } }, "max-weight": { "x-kubernetes-int-or-string": true }, anything: { "x-kubernetes-preserve-unknown-fields": true },
          places: { additionalProperties: { properties: { row: { type: "integer" }, column: { type: "integer", description: "From the left." } }, required: ["row"] } },
        },
      },
      status: { properties: { phase: { enum: ["On", "Off"] } }, required: ["phase"] },
    },
  });
  // The way back gives the same shapes.
  expect(fromDefinition(definition)[0]).toMatchObject({ kind: "Gadget", plural: "gadgetry", namespaced: false, hasStatus: true });
});

test("copies are deep, and what is copied is left alone", () => {
  const freeze = <T>(value: T): T => {
    if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };
  const metadata = { name: "a", labels: { k: "v" } } as unknown as Gadget["metadata"];
  const gadget: Gadget = freeze({
    apiVersion: "toys.example.com/v1beta1", kind: "Gadget", metadata, spec: { colours: ["red"], places: { here: { row: 1 } }, options: { a: "b" }, anything: { deep: [1] }, next: [[{ row: 2 }]], enabled: true },
    status: { phase: "On", seen: ["x"] },
  });
  const copy = deepCopyGadget(gadget);
  expect(copy).toEqual(gadget);
  copy.metadata.labels!["k"] = "w";
  (copy.spec.places!["here"] as { row: number }).row = 7;
  (copy.spec.anything as { deep: number[] }).deep.push(2);
  (copy.spec.next![0]![0] as { row: number }).row = 8;
  copy.spec.options!["a"] = "c";
  copy.status!.seen!.push("y");
  expect(gadget.spec).toMatchObject({ places: { here: { row: 1 } }, anything: { deep: [1] }, next: [[{ row: 2 }]], options: { a: "b" } });
  const site: Website = freeze({ apiVersion: "example.com/v1", kind: "Website", metadata, spec: { image: "i", maintenance: [{ from: "x", minutes: 1 }] } });
  const other = deepCopyWebsite(site);
  other.spec.maintenance![0]!.minutes = 2;
  expect(site.spec.maintenance![0]!.minutes).toBe(1);
});

test("a lister of what is cluster-scoped", () => {
  const objects = [{ metadata: { name: "a", labels: { x: "1" } } }, { metadata: { name: "b" } }] as unknown as Gadget[];
  const lister = newGadgetLister({ list: () => objects, get: (_: string, name: string) => objects.find(({ metadata }) => metadata.name === name) } as never);
  expect(lister.list().length).toBe(2);
  expect(lister.list({ x: "1" })).toEqual([objects[0]]);
  expect(lister.get("b")).toBe(objects[1]);
});

test("several versions go to files of their own", async () => {
  const version = (name: string, served = true): string => `  - {name: ${name}, served: ${served}, storage: ${name === "v2"}, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}\n`;
  const file = join(folder, "things.yaml");
  writeFileSync(file, `apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x.example}\nspec:\n  group: x.example\n  scope: Cluster\n  names: {plural: things, kind: Thing}\n  versions:\n${version("v1")}${version("v2")}${version("v0", false)}`);
  expect((await codegen(file, "-o", folder)).status).toBe(0);
  expect(readdirSync(folder).filter((name) => name.startsWith("things.v")).sort()).toEqual(["things.v1.ts", "things.v2.ts"]);
});

describe("what cannot be generated from is said with its place", () => {
  test.each([
    ["a.yaml", "kind: Pod\napiVersion: v1\n", "not a CustomResourceDefinition of apiextensions.k8s.io/v1: v1 Pod"],
    ["b.yaml", "a: [", "Flow sequence in block collection must be sufficiently indented and end with a ]"],
    ["c.yaml", "kind: CustomResourceDefinition\napiVersion: apiextensions.k8s.io/v1\nspec: {}\n", "a CustomResourceDefinition needs spec.names.kind, spec.names.plural and spec.versions"],
    ["d.ts", "export interface A { b: string }", "no interface is tagged +genclient"],
    ["e.ts", "// +genclient\nexport interface A { b: string }", "line 2: A is tagged +genclient, but the file has no +groupName and +versionName"],
    ["f.ts", "// +groupName=g\n// +versionName=v1\n\n// +genclient\nexport interface A {\n  b string;\n}", 'line 6: ":" expected, "string" found'],
  ])("%s", async (name, text, message) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    const { status, said } = await codegen(file, "-o", folder);
    expect(status).toBe(1);
    expect(said).toContain(`${file}: ${message}`);
  });
});
