/** YAML as sigs.k8s.io/yaml reads and writes it: YAML 1.1, as far as go-yaml knows it. The library is loaded with the first body. */

/** Scalars of YAML 1.1 that go-yaml reads as texts. */
const AS_TEXT = new Set(["tag:yaml.org,2002:timestamp"]);

/** A body as JSON would have it: keys are texts (`y` is `true`); of a key that is there twice the last counts. Throws what the library throws. */
export async function fromYaml(text: string): Promise<unknown> {
  const { parse } = await import("./yaml-library.ts");
  return parse(text, {
    version: "1.1", uniqueKeys: false,
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !(AS_TEXT.has(tag.tag) || ("format" in tag && tag.format === "TIME"))),
  }) as unknown;
}

/** An answer's JSON as YAML, with sorted keys. */
export async function toYaml(json: string): Promise<string> {
  const { stringify } = await import("./yaml-library.ts");
  return stringify(JSON.parse(json), { sortMapEntries: true, indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false, version: "1.1" });
}
