// Which licenses may be used for what.

/** SPDX names of what may be bundled into dist/. */
export const SHIPPABLE = ["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"];

/** Tools, which are never shipped, may also be under these. */
const TOOLS_ONLY = ["0BSD", "BlueOak-1.0.0", "PSF-2.0", "Unlicense"];

/** Tools under other terms, each with the reason why it is there. */
const EXCEPTIONS = [
  // The CSS compiler that vite, and so vitest, depends on. Test time only, unmodified; nothing here has CSS.
  { name: /^lightningcss(?:-|$)/, license: "MPL-2.0" },
];

/** The packages of a package-lock.json (version 3) that may not be used, as `name: license`. */
export function refused({ packages }) {
  const found = [];
  for (const [path, { license = "none stated", dev = false, devOptional = false }] of Object.entries(packages)) {
    if (path === "") continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    // "(MIT OR Apache-2.0)" leaves the choice to us.
    const choices = license.replace(/[()]/g, "").split(" OR ");
    const tool = dev || devOptional;
    const allowed = tool ? [...SHIPPABLE, ...TOOLS_ONLY] : SHIPPABLE;
    const excepted = tool && EXCEPTIONS.some((entry) => entry.name.test(name) && entry.license === license);
    if (!excepted && !choices.some((choice) => allowed.includes(choice))) found.push(`${name}: ${license}`);
  }
  return found;
}
