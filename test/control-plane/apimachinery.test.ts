import { describe, expect, test } from "vitest";
import { formatQuantity, parseQuantity, QuantityError, quantityMilliValue, quantityValue } from "../../src/apimachinery/quantity.ts";
import { formatSelector, labelSelector, matches, parseFieldSelector, matchesFields, parseLabelSelector, SelectorError } from "../../src/apimachinery/selectors.ts";
import type { Requirement } from "../../src/apimachinery/selectors.ts";
import { computeHash, fnv32a, generateName, newUid, randomSuffix, safeEncodeString } from "../../src/apimachinery/names.ts";
import { ApiError, isConflict, isNotFound, newConflict, newInvalid, newNotFound } from "../../src/apimachinery/status.ts";
import { formatMicroTime, formatTime, parseTime } from "../../src/apimachinery/time.ts";
import { validateDNS1035Label, validateDNS1123Label, validateDNS1123Subdomain, validateLabelKey, validateLabelValue, parseCIDR, parseIPv4 } from "../../src/apimachinery/validation.ts";
import { testRandom } from "./test-clock.ts";

describe("quantities", () => {
  // As Quantity.String() writes them (quantity.go, CanonicalizeBytes).
  test.each([
    ["0", "0"], ["0n", "0"], ["0Mi", "0"], ["1", "1"], ["100m", "100m"], ["1000m", "1"], ["1500m", "1500m"], ["0.5", "500m"], [".5", "500m"],
    ["1k", "1k"], ["1000k", "1M"], ["1024", "1024"], ["1Ki", "1Ki"], ["1024Ki", "1Mi"], ["1.5Gi", "1536Mi"], ["0.5Ki", "512"], ["100Ki", "100Ki"],
    ["1e3", "1e3"], ["1000e3", "1e6"], ["12e6", "12e6"], ["1E", "1E"], ["-1", "-1"], ["+5", "5"], ["-0.1", "-100m"], ["1u", "1u"], ["1.1n", "2n"],
    ["8Gi", "8Gi"], ["1048576", "1048576"], ["0.001", "1m"], ["9223372036854775807", "9223372036854775807"],
  ])("%s is written %s", (input, output) => {
    expect(formatQuantity(parseQuantity(input))).toBe(output);
  });

  test.each(["", ".", "1.2.3", "1x", "x", "1 Gi", "1gi", "1KI", "--1", "e3", "1ee3"])("%s is refused", (input) => {
    expect(() => parseQuantity(input)).toThrow(QuantityError);
  });

  test("values are rounded up", () => {
    expect([quantityValue("1500m"), quantityMilliValue("1500m"), quantityMilliValue("1n"), quantityValue("8Gi"), quantityValue(undefined)]).toEqual([2, 1500, 1, 8589934592, 0]);
  });

  test("what is written parses to the same value", () => {
    const random = testRandom(3);
    const suffixes = ["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3"];
    for (let i = 0; i < 2000; i++) {
      const text = `${random.below(2) === 0 ? "-" : ""}${random.below(100000)}${random.below(2) === 0 ? "" : `.${random.below(1000)}`}${suffixes[random.below(suffixes.length)]}`;
      const quantity = parseQuantity(text);
      const again = parseQuantity(formatQuantity(quantity));
      expect(again.nano, text).toBe(quantity.nano);
      expect(formatQuantity({ ...again, format: quantity.format }), text).toBe(formatQuantity(quantity));
    }
  });
});

describe("selectors", () => {
  const labels = { app: "web", tier: "front", n: "6" };
  test.each([
    ["app=web", true], ["app==web", true], ["app!=web", false], ["other!=web", true], ["app in (web,db)", true], ["app notin (web)", false],
    ["other notin (x)", true], ["app", true], ["!app", false], ["!other", true], ["n>5", true], ["n<5", false], ["app>5", false], ["", true],
    ["app=web,tier=back", false], ["app in ()", false], ["app=", false], [" app = web , tier ", true],
  ])("%s selects: %s", (text, expected) => {
    expect(matches(parseLabelSelector(text), labels)).toBe(expected);
  });

  test.each([
    ["=x", "found '=', expected: !, identifier, or 'end of string'"],
    ["app=x,", "found '', expected: identifier after ','"],
    ["app=a b", "found 'b', expected: ',' or 'end of string'"],
    ["app exists", "unable to parse requirement: found 'exists', expected: in, notin, =, ==, !=, gt, lt"],
    ["!", "unable to parse requirement: found '', expected: identifier"],
  ])("%s is refused", (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(new SelectorError(message));
  });

  test("a written selector selects what its source does", () => {
    const random = testRandom(5);
    const [keys, values] = [["a", "b", "c"], ["x", "y", "z"]];
    const operators = ["=", "!=", "in", "notin", "exists", "!"] as const;
    for (let i = 0; i < 500; i++) {
      const requirements: Requirement[] = Array.from({ length: random.below(4) }, () => {
        const operator = operators[random.below(operators.length)]!;
        const count = operator === "in" || operator === "notin" ? 1 + random.below(2) : operator === "exists" || operator === "!" ? 0 : 1;
        return { key: keys[random.below(3)]!, operator, values: Array.from({ length: count }, () => values[random.below(3)]!) };
      });
      const set = Object.fromEntries(keys.filter(() => random.below(2) === 0).map((k) => [k, values[random.below(3)]!]));
      expect(matches(parseLabelSelector(formatSelector({ requirements })), set)).toBe(matches({ requirements }, set));
    }
  });

  test("an absent label selector matches nothing, an empty one everything", () => {
    expect([matches(labelSelector(undefined), labels), matches(labelSelector({}), labels)]).toEqual([false, true]);
    expect(matches(labelSelector({ matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "In", values: ["front"] }] }), labels)).toBe(true);
  });

  test("field selectors", () => {
    expect(parseFieldSelector("metadata.name=a,spec.nodeName!=b\\,c")).toEqual([{ field: "metadata.name", equal: true, value: "a" }, { field: "spec.nodeName", equal: false, value: "b,c" }]);
    expect(matchesFields(parseFieldSelector("spec.nodeName="), {})).toBe(true);
    expect(() => parseFieldSelector("abc")).toThrow("invalid selector: 'abc'; can't understand 'abc'");
  });
});

describe("names", () => {
  test("hashes and suffixes", () => {
    // FNV test vectors of hash/fnv: fnv_test.go golden32a.
    expect([fnv32a(""), fnv32a("a"), fnv32a("ab"), fnv32a("abc")]).toEqual([0x811c9dc5, 0xe40c292c, 0x4d2505ca, 0x1a47e90b]);
    expect(safeEncodeString("test")).toBe("l2kl"); // 116, 101, 115, 116 modulo 27
    expect(computeHash({ a: 1, b: { c: undefined } })).toBe(computeHash({ b: {}, a: 1 }));
    expect(computeHash({ a: 1 }, 1)).not.toBe(computeHash({ a: 1 }));
    expect(randomSuffix(testRandom(), 200)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{200}$/);
    expect(generateName(testRandom(), "x".repeat(80))).toMatch(/^x{58}.{5}$/);
    expect(newUid(testRandom())).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test.each([
    [validateDNS1123Label, "web-1", 0], [validateDNS1123Label, "Web", 1], [validateDNS1123Label, "a.b", 1], [validateDNS1123Label, "a".repeat(64), 1],
    [validateDNS1123Subdomain, "a.b-c.d", 0], [validateDNS1123Subdomain, "a..b", 1], [validateDNS1035Label, "1a", 1], [validateDNS1035Label, "a1", 0],
    [validateLabelKey, "example.com/name", 0], [validateLabelKey, "/name", 1], [validateLabelKey, "a/b/c", 1], [validateLabelKey, "", 2],
    [validateLabelValue, "", 0], [validateLabelValue, "a_b.c", 0], [validateLabelValue, "-a", 1],
  ] as const)("%o of %s: %i problems", (validate, value, problems) => {
    expect(validate(value)).toHaveLength(problems);
  });

  test("addresses", () => {
    expect([parseIPv4("10.96.0.1"), parseIPv4("10.96.0.256"), parseIPv4("010.0.0.1"), parseIPv4("x")]).toEqual([0x0a600001, undefined, undefined, undefined]);
    expect([parseCIDR("10.96.3.4/16"), parseCIDR("10.96.0.0/33")]).toEqual([{ address: 0x0a600000, bits: 16 }, undefined]);
  });
});

describe("times and errors", () => {
  test("RFC 3339", () => {
    const ms = Date.UTC(2026, 10, 20, 10, 7, 6) + 123.456;
    expect([formatTime(ms), formatMicroTime(ms)]).toEqual(["2026-11-20T10:07:06Z", "2026-11-20T10:07:06.123456Z"]);
    expect(parseTime("2026-11-20T12:07:06+02:00")).toBe(Date.UTC(2026, 10, 20, 10, 7, 6));
    expect([parseTime("2026-11-20"), parseTime("2026-13-20T10:07:06Z"), parseTime("")]).toEqual([undefined, undefined, undefined]);
  });

  test("errors carry their Status", () => {
    const error = newNotFound({ group: "apps", resource: "deployments" }, "web");
    expect(error.status).toEqual({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: 'deployments.apps "web" not found', reason: "NotFound", details: { name: "web", group: "apps", kind: "deployments" }, code: 404 });
    expect([isNotFound(error), isConflict(error), isNotFound(new Error("x")), error instanceof ApiError]).toEqual([true, false, false, true]);
    expect(newConflict({ group: "", resource: "pods" }, "p", "x").message).toBe('Operation cannot be fulfilled on pods "p": x');
    expect(newInvalid({ group: "", kind: "Pod" }, "p", [{ type: "FieldValueRequired", field: "a", message: "Required value" }, { type: "FieldValueRequired", field: "b", message: "Required value" }]).message)
      .toBe('Pod "p" is invalid: [a: Required value, b: Required value]');
  });
});
