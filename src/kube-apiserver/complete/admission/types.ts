/** What admission plugins share. Follows k8s.io/apiserver/pkg/admission (attributes.go, errors.go). */
import type { KubeObject } from "../../../apimachinery/meta.ts";
import { newForbidden, type ApiError } from "../../../apimachinery/status.ts";
import type { AdmissionContext, AdmissionRequest } from "../../extension.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
/** An object of a kind that the plugin knows to expect. */
export type Any = any;

/** One plugin: `admit` may change the object, `validate` sees it as it will be stored. Both throw ApiError to refuse. */
export interface AdmissionPlugin {
  /** Upstream's name, as in `--enable-admission-plugins`. */
  readonly name: string;
  /** The resources that it looks at; all without. */
  readonly resources?: readonly string[];
  /** It judges deletions, too. */
  readonly deletions?: true;
  admit?(request: AdmissionRequest, context: AdmissionContext): void | Promise<void>;
  validate?(request: AdmissionRequest, context: AdmissionContext): void | Promise<void>;
}

/** Whether the request is about this resource itself; with `subresource`, about that part of it. */
export function isAbout({ descriptor, subresource }: AdmissionRequest, group: string, resource: string, wanted = ""): boolean {
  return subresource === wanted && descriptor.name.resource === resource && descriptor.name.group === group;
}

/** 403 in the words of admission.NewForbidden; several reasons as an aggregate prints them. */
export function forbidden(request: AdmissionRequest, ...reasons: readonly string[]): ApiError {
  const { group, resource } = request.descriptor.name;
  return newForbidden({ group, resource }, nameOf(request), reasons.length === 1 ? reasons[0]! : `[${[...new Set(reasons)].join(", ")}]`);
}

/** Names are not generated yet when plugins change objects. Follows extractResourceName. */
function nameOf({ name, object, old }: AdmissionRequest): string {
  if (name !== "") return name;
  const meta = ((object ?? old) as KubeObject | undefined)?.metadata;
  return meta?.name ?? meta?.generateName ?? "Unknown";
}
