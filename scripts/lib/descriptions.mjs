// What OpenAPI documents say of types, fields and parameters: taken from two packages that carry Kubernetes' own texts (Apache-2.0) when
// something is built or tested, and kept out of the repository. kubernetes-types is of v1.30 and keeps lines and the fields that are references;
// @kubernetes/client-node has what is younger.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FILE = "src/kube-apiserver/complete/descriptions.generated.ts";
const FACTS = "src/kube-apiserver/complete/openapi-types.generated.ts";

/** Writes the texts into src/kube-apiserver/complete, unless what is there was made of the same packages by this script. */
export function writeDescriptions(root) {
  const path = (name) => fileURLToPath(new URL(name, root));
  const [typesDir, clientDir] = ["kubernetes-types", "@kubernetes/client-node"].map((name) => path(`node_modules/${name}`));
  const sources = [path(FACTS), fileURLToPath(import.meta.url), join(typesDir, "package.json"), join(clientDir, "package.json")];
  const hash = createHash("sha256");
  for (const source of sources) hash.update(readFileSync(source));
  const mark = `// Made of ${hash.digest("hex")}`;
  if (existsSync(path(FILE)) && readFileSync(path(FILE), "utf8").startsWith(mark)) return;
  const facts = readFileSync(path(FACTS), "utf8");
  const { types } = JSON.parse(JSON.parse(facts.slice(facts.indexOf("FACTS =") + 7).trim().replace(/;$/, "")));
  const found = collect(types, typesDir, clientDir);
  writeFileSync(path(FILE), `${mark}
// by scripts/lib/descriptions.mjs. The texts are of Kubernetes v1.32: Copyright The Kubernetes Authors, Apache License 2.0.

/** What documents say, as JSON: texts, and by their indices those of types (\`""\` for itself) and of parameters. */
export const DESCRIPTIONS =
  ${JSON.stringify(JSON.stringify(found))};
`);
}

function collect(types, typesDir, clientDir) {
  const fieldsOf = (full) => types[full][1] ?? {};
  const texts = [];
  const indices = new Map();
  function indexOf(text) {
    if (!indices.has(text)) {
      indices.set(text, texts.length);
      texts.push(text);
    }
    return indices.get(text);
  }

  const files = new Map();
  const described = {};
  /** What fields of special types say is what those types say of themselves. */
  const ofTypes = {};
  for (const full of Object.keys(types)) {
    const [group, version, name] = full.split(".").slice(-3);
    const place = [`${group}/${version}.d.ts`, `${version}.d.ts`].map((path) => join(typesDir, path)).find(existsSync);
    if (place !== undefined && !files.has(place)) files.set(place, interfacesOf(place));
    const older = (place === undefined ? undefined : files.get(place)[name]) ?? {};
    const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
    const newer = modelOf(clientDir, `${capital(group)}${capital(version)}${name}`) ?? modelOf(clientDir, `${capital(version)}${name}`) ?? {};
    const out = {};
    for (const field of ["", ...Object.keys(fieldsOf(full))]) {
      // Fields of some types have the type's text there.
      // client-node's names have underscores.
      newer[field] ??= newer[`_${field.replace(/^[$]/, "")}`] ?? newer[field.replaceAll("-", "_")];
      const now = newer[field] === undefined || /^(?:JSON represents|JSONSchemaPropsOr|IntOrString is a type|MicroTime is version|Quantity is a fixed-point)/.test(newer[field]) && field !== "" ? undefined : restored(newer[field]);
      const text = older[field] ?? now;
      const type = fieldsOf(full)[field]?.[0];
      if (now === undefined && newer[field] !== undefined && typeof type === "string" && type.startsWith("io.")) ofTypes[type] ??= restored(newer[field]);
      const young = YOUNG[`${name}.${field}`];
      if ((text ?? "") !== "" || young !== undefined) out[field] = indexOf(text ?? young);
    }
    if (Object.keys(out).length > 0) described[full] = out;
  }

  for (const [name, text] of Object.entries(ofTypes)) (described[name] ??= {})[""] ??= indexOf(text);

  // Parameters: of an operation, and of what is connected to.
  const api = readFileSync(join(clientDir, "dist/gen/apis/CoreV1Api.d.ts"), "utf8");
  function parametersOf(operation) {
    const start = api.lastIndexOf("/**", api.indexOf(`    ${operation}(`));
    const comment = api.slice(start, api.indexOf("*/", start));
    return [...comment.matchAll(/@param (\w+) (.*)/g)].map(([, name, text]) => [name.replace(/^_/, ""), restored(text)]);
  }
  const parameters = {};
  for (const operation of ["listNamespacedPod", "createNamespacedPod", "deleteCollectionNamespacedPod", "deleteNamespacedPod", "readNamespacedPodLog"])
    for (const [name, text] of parametersOf(operation)) if (name !== "body" && name !== "name") parameters[name] ??= indexOf(text);
  for (const [name, text] of parametersOf("patchNamespacedPod")) if (name === "fieldManager" || name === "force") parameters[name === "force" ? name : `patch.${name}`] = indexOf(text);
  for (const [operation, kind] of [["PodExec", "Exec"], ["PodAttach", "Attach"], ["PodPortforward", "PortForward"], ["PodProxy", "Proxy"], ["ServiceProxy", "Proxy"]])
    for (const [name, text] of parametersOf(`connectGetNamespaced${operation}`))
      if (name !== "name" && name !== "namespace") parameters[`${operation.startsWith("Service") ? "Service" : "Pod"}${kind}Options.${name}`] = indexOf(text);
  for (const [name, text] of parametersOf("connectGetNodeProxy")) if (name !== "name") parameters[`NodeProxyOptions.${name}`] = indexOf(text);

  return { texts, types: described, parameters };
}

// Fields that are references and younger than kubernetes-types, in words of our own.
const YOUNG = {
  "ContainerStatus.user": "The user that the container's first process was started as.",
  "ContainerUser.linux": "The identity on Linux nodes: user, group and supplementary groups of the first process.",
  "NodeStatus.features": "What the node's container runtime can do beyond the basics.",
  "PodSpec.resources": "Compute resources of the pod as a whole, beside those of its containers: CPU and memory only. An alpha field, which needs the feature gate PodLevelResources.",
  "Volume.image": "An OCI image or artifact whose files are mounted read-only. Its pullPolicy says when it is pulled: Always, Never or IfNotPresent.",
  "ResourceAttributes.fieldSelector": "Restricts the access in question by a field selector; it can only narrow what is asked for.",
  "ResourceAttributes.labelSelector": "Restricts the access in question by a label selector; it can only narrow what is asked for.",
};

const commentText = (comment) =>
  comment.replace(/^\/\*\*/, "").replace(/\*\/$/, "").split("\n").map((line) => line.replace(/^\s*\* ?/, "")).join("\n").trim().replaceAll("*\\/", "*/");

/** The interfaces of a file of kubernetes-types: name -> field ("" for itself) -> text. */
function interfacesOf(file) {
  const out = {};
  let comment;
  let current;
  for (const [token] of readFileSync(file, "utf8").matchAll(/\/\*\*[\s\S]*?\*\/|export (?:interface|type) \w+|^}|^ {4}(?:readonly )?(?:"[^"]+"|[\w$]+)\??:/gm)) {
    if (token.startsWith("/**")) comment = commentText(token);
    else if (token.startsWith("export")) {
      current = out[token.split(" ").at(-1)] = {};
      if (comment !== undefined) current[""] = comment;
      comment = undefined;
    } else if (token === "}") current = undefined;
    else {
      if (current !== undefined && comment !== undefined) current[token.trim().replace(/^readonly /, "").replace(/\??:$/, "").replaceAll('"', "")] = comment;
      comment = undefined;
    }
  }
  return out;
}

const unescaped = (text) => text.replace(/&#x([0-9A-F]+);/gi, (_, code) => String.fromCodePoint(parseInt(code, 16))).replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&").replace(/\\(["'])/g, "$1").replaceAll("*_/", "*/").replaceAll("/_*", "/*");
/** Lines were joined by spaces: two of them were a paragraph's end, more of them an indented line. */
const restored = (text) =>
  unescaped(text).replace(/(?<=\S) {3,}(?=\S)/g, (spaces) => `\n${spaces.slice(1)}`).replace(/(?<=\n {2}[^\n]*\.) - /g, "\n- ").replace(/(?<=\S) {2}(?=[^a-z\s])/g, "\n\n").trim();

/** A model of client-node. */
function modelOf(clientDir, name) {
  const file = join(clientDir, `dist/gen/models/${name}.d.ts`);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  const out = {};
  const itself = /\/\*\*\n\* (.*)\n\*\/\nexport declare class/.exec(text);
  if (itself !== null) out[""] = itself[1];
  for (const [, comment, field] of text.matchAll(/ {4}\/\*\*\n {4}\* (.*)\n {4}\*\/\n {4}'(.+?)'\??: /g)) out[field] = comment;
  return out;
}
