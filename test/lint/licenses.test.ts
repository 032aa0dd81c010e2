import { expect, test } from "vitest";
import { refused } from "../../scripts/lib/licenses.mjs";

const lock = (name: string, license: string | undefined, dev: boolean) => ({
  packages: {
    "": {},
    [`node_modules/${name}`]: { ...(license === undefined ? {} : { license }), ...(dev ? { dev } : {}) },
  },
});

test("a package under other terms is refused, a tool may be under a few more", () => {
  expect(refused(lock("a", "MIT", false))).toEqual([]);
  expect(refused(lock("a", "(GPL-3.0 OR Apache-2.0)", false))).toEqual([]);
  expect(refused(lock("@s/a", "GPL-3.0", true))).toEqual(["@s/a: GPL-3.0"]);
  expect(refused(lock("a", undefined, true))).toEqual(["a: none stated"]);
  expect(refused(lock("a", "0BSD", true))).toEqual([]);
  expect(refused(lock("a", "0BSD", false))).toEqual(["a: 0BSD"]);
  expect(refused(lock("lightningcss", "MPL-2.0", true))).toEqual([]);
  expect(refused(lock("lightningcss", "MPL-2.0", false))).toEqual(["lightningcss: MPL-2.0"]);
});
