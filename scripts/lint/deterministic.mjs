// Lint rule `kubewire/deterministic`: under src/ time, chance and threads come from outside, and nothing may differ
// between JavaScript engines, hosts, locales or time zones (docs/architecture.md, "Sites, windows and virtual time").

const hostTime = "time comes from the site's Clock";
const hostChance = "chance comes from the site's Random";
const runtimeOnly = "it belongs in runtimes/, behind Platform";
const locale = "its result depends on the host's locale";
const zone = "its result depends on the host's time zone: use the getUTC… or setUTC… method";
const approximated = "engines may differ in its last bits";
const collection = "its behaviour depends on garbage collection";

const GLOBALS = new Map([
  ["performance", hostTime],
  ["setTimeout", hostTime],
  ["setInterval", hostTime],
  ["setImmediate", hostTime],
  ["clearTimeout", hostTime],
  ["clearInterval", hostTime],
  ["clearImmediate", hostTime],
  ["requestAnimationFrame", hostTime],
  ["crypto", hostChance],
  ["Intl", locale],
  ["WeakRef", collection],
  ["FinalizationRegistry", collection],
  ["globalThis", runtimeOnly],
  ["window", runtimeOnly],
  ["self", runtimeOnly],
  ["document", runtimeOnly],
  ["navigator", runtimeOnly],
  ["process", runtimeOnly],
  ["Buffer", runtimeOnly],
  ["Deno", runtimeOnly],
  ["require", runtimeOnly],
  ["Worker", runtimeOnly],
  ["MessageChannel", runtimeOnly],
  ["BroadcastChannel", runtimeOnly],
  ["console", "output goes through the injected Logger or a program's stdout"],
]);

const MEMBERS = new Map([
  ["Date", new Map([["now", hostTime]])],
  [
    "Math",
    new Map([
      ["random", hostChance],
      ...[
        ..."acos acosh asin asinh atan atan2 atanh cbrt cos cosh exp expm1 hypot log log10 log1p log2".split(" "),
        ..."pow sin sinh tan tanh".split(" "),
      ].map((name) => [name, approximated]),
    ]),
  ],
]);

const METHODS = new Map([
  ["localeCompare", "compare strings with < instead"],
  ...["String", "DateString", "TimeString", "UpperCase", "LowerCase"].map((name) => [`toLocale${name}`, locale]),
  ...["toDateString", "toTimeString", "getTimezoneOffset", "getYear"].map((name) => [name, zone]),
  ...["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds"].flatMap((name) => [
    [`get${name}`, zone],
    [`set${name}`, zone],
  ]),
]);

/** The property's name if it is written out: `a.b` or `a["b"]`. */
function propertyName({ computed, property }) {
  if (!computed) return property.type === "Identifier" ? property.name : undefined;
  return property.type === "Literal" && typeof property.value === "string" ? property.value : undefined;
}

const isNumber = (node) => node.type === "Literal" && typeof node.value === "number";

const isBigInt = (node) => node.type === "Literal" && typeof node.value === "bigint";

const rule = {
  meta: { type: "problem", docs: { description: "keep hosts and engines out of what a cluster does" }, schema: [] },
  create(context) {
    const report = (node, what, why) => context.report({ node, message: `${what} is not allowed in src/: ${why}` });

    function checkGlobal(node) {
      const { name, parent } = node;
      const reason = GLOBALS.get(name);
      if (reason !== undefined) report(node, name, reason);
      const members = MEMBERS.get(name);
      if (parent.type === "MemberExpression" && parent.object === node) {
        const property = propertyName(parent);
        const why = members?.get(property);
        if (why !== undefined) report(parent, `${name}.${property}`, why);
      } else if (members !== undefined && parent.type === "VariableDeclarator" && parent.id.type === "ObjectPattern") {
        for (const { key } of parent.id.properties) {
          const why = members.get(key?.name);
          if (why !== undefined) report(parent, `${name}.${key.name}`, why);
        }
      }
      if (name !== "Date") return;
      if (parent.type === "NewExpression" && parent.callee === node && parent.arguments.length === 0) {
        report(parent, "new Date() without an argument", hostTime);
      }
      if (parent.type === "CallExpression" && parent.callee === node) report(parent, "Date()", hostTime);
    }

    function checkModule(node) {
      const source = node.source;
      if (source === null || source?.type !== "Literal" || typeof source.value !== "string") return;
      if (/^(?:node|bun|deno|cloudflare|https?):/.test(source.value))
        report(node, `import "${source.value}"`, runtimeOnly);
      if (/(?:^|\/)runtimes\//.test(source.value)) report(node, `import "${source.value}"`, "src/ knows no runtime");
    }

    return {
      "Program:exit"(program) {
        const scope = context.sourceCode.getScope(program);
        const global = scope.type === "global" ? scope : scope.upper;
        const seen = new Set();
        for (const { identifier, isTypeReference } of [
          ...global.through,
          ...global.variables.flatMap(({ defs, references }) => (defs.length === 0 ? references : [])),
        ]) {
          if (isTypeReference === true || seen.has(identifier)) continue;
          seen.add(identifier);
          checkGlobal(identifier);
        }
      },
      MemberExpression(node) {
        const name = propertyName(node);
        const reason = METHODS.get(name);
        if (reason !== undefined) report(node, `.${name}`, reason);
      },
      BinaryExpression(node) {
        // Big integers are exact, and so are powers of two.
        if (node.operator !== "**" || isBigInt(node.left) || isBigInt(node.right)) return;
        if (isNumber(node.left) && (node.left.value === 2 || isNumber(node.right))) return;
        report(node, "**", approximated);
      },
      ImportDeclaration: checkModule,
      ImportExpression: checkModule,
      ExportNamedDeclaration: checkModule,
      ExportAllDeclaration: checkModule,
    };
  },
};

export default { meta: { name: "kubewire" }, rules: { deterministic: rule } };
