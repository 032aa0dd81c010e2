/** The levels that a namespace's labels ask for. Follows k8s.io/pod-security-admission/api (helpers.go) and policy (registry.go). */
import { CHECKS } from "./checks.ts";
import type { Finding, Judged } from "./checks.ts";

const PREFIX = "pod-security.kubernetes.io/";
const LEVELS = ["privileged", "baseline", "restricted"] as const;
export type Level = (typeof LEVELS)[number];

/** A level at a version: the minor of v1, or the newest. */
export interface LevelVersion {
  readonly level: Level;
  readonly version: number | "latest";
}

export interface Policy {
  readonly enforce: LevelVersion;
  readonly audit: LevelVersion;
  readonly warn: LevelVersion;
}

/** A label that says nothing. */
export interface LabelFault {
  readonly field: string;
  readonly value: string;
  readonly why: string;
}

export const describe = ({ level, version }: LevelVersion): string => `${level}:${version === "latest" ? version : `v1.${version}`}`;
export const isStricter = (a: LevelVersion, b: LevelVersion): boolean => LEVELS.indexOf(a.level) > LEVELS.indexOf(b.level);
export const isSame = (a: LevelVersion, b: LevelVersion): boolean => a.level === b.level && a.version === b.version;

/** What is wrong stands for the strictest where it is enforced, and for nothing where it is only told. Follows PolicyToEvaluate. */
export function policyOf(labels: Readonly<Record<string, string>> = {}): { policy: Policy; faults: LabelFault[] } {
  const faults: LabelFault[] = [];
  const fault = (name: string, why: string): void => void faults.push({ field: `metadata.labels[${PREFIX}${name}]`, value: labels[`${PREFIX}${name}`]!, why });
  const levelOf = (name: string, otherwise: Level): Level | undefined => {
    const value = labels[`${PREFIX}${name}`];
    if (value === undefined) return undefined;
    if ((LEVELS as readonly string[]).includes(value)) return value as Level;
    fault(name, "must be one of privileged, baseline, restricted");
    return otherwise;
  };
  const versionOf = (name: string): number | "latest" | undefined => {
    const value = labels[`${PREFIX}${name}-version`];
    if (value === undefined) return undefined;
    const [, minor] = /^v1\.([0-9]|[1-9][0-9]*)$/.exec(value) ?? [];
    if (value !== "latest" && minor === undefined) fault(`${name}-version`, 'must be "latest" or "v1.x"');
    return minor === undefined ? "latest" : Number(minor);
  };
  const enforceLevel = levelOf("enforce", "restricted");
  const enforce: LevelVersion = { level: enforceLevel ?? "privileged", version: versionOf("enforce") ?? "latest" };
  const audit: LevelVersion = { level: levelOf("audit", "privileged") ?? "privileged", version: versionOf("audit") ?? "latest" };
  const warnLevel = levelOf("warn", "privileged");
  const warnVersion = versionOf("warn");
  const warn: LevelVersion = warnLevel === undefined && enforceLevel !== undefined
    ? { level: enforce.level, version: warnVersion ?? enforce.version }
    : { level: warnLevel ?? "privileged", version: warnVersion ?? "latest" };
  return { policy: { enforce, audit, warn }, faults };
}

/** What of the pod the level forbids. */
export function evaluate({ level, version }: LevelVersion, pod: Judged): Finding[] {
  if (level === "privileged") return [];
  const minor = version === "latest" ? Infinity : version;
  const at = CHECKS.flatMap(({ id, level: of, since, overrides = [] }) => {
    const check = since.filter(([from]) => from <= minor).at(-1)?.[1];
    return check === undefined || (of === "restricted" && level === "baseline") ? [] : [{ id, check, overrides }];
  });
  const overridden = new Set(at.flatMap(({ overrides }) => overrides));
  return at.flatMap(({ id, check }) => (overridden.has(id) ? [] : check(pod) ?? []));
}
