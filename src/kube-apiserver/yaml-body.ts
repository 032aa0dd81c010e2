/** A request body in YAML. */
import { parse } from "yaml";
import { newBadRequest } from "../apimachinery/status.ts";

export function parseYamlBody(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    throw newBadRequest("error converting YAML to JSON: yaml: invalid document");
  }
}
