/** The YAML library by its names: bundlers for Node take its CommonJS form, of which `import()` itself has only a default. */
export { parse, stringify } from "yaml";
