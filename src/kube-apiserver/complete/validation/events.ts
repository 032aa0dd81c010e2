/** Events of both groups, judged in the core form. Follows pkg/apis/core/validation/events.go. */
import { deepEqual } from "../../../apimachinery/meta.ts";
import type { FieldErrors } from "../../field.ts";
import { dnsSubdomain, immutable, objectMeta, objectMetaUpdate, qualified } from "./common.ts";
import type { Any, Validation } from "./common.ts";
import { goValue } from "./go.ts";

const isSet = (time: unknown): boolean => time !== undefined && time !== null;

/** Follows legacyValidateEvent; `controller` is the name of the field in the version asked for. */
function legacy(o: Any, controller: string, errors: FieldErrors): void {
  const namespace: string = o.involvedObject?.namespace ?? "";
  const own: string = o.metadata.namespace ?? "";
  const apart = (): void => errors.invalid("involvedObject.namespace", namespace, "does not match event.namespace");
  if (!isSet(o.eventTime)) {
    if (namespace === "" ? own !== "" && own !== "default" : own !== namespace) apart();
  } else {
    if (namespace === "" && own !== "default" && own !== "kube-system") apart();
    if ((o.reportingComponent ?? "") === "") errors.required(controller);
    qualified(o.reportingComponent ?? "", controller, errors);
    if ((o.reportingInstance ?? "") === "") errors.required("reportingInstance");
    if ((o.reportingInstance ?? "").length > 128) errors.invalid("reportingInstance", "", "can have at most 128 characters");
    for (const field of ["action", "reason"]) {
      if ((o[field] ?? "") === "") errors.required(field);
      if ((o[field] ?? "").length > 128) errors.invalid(field, "", "can have at most 128 characters");
    }
    if ((o.message ?? "").length > 1024) errors.invalid("message", "", "can have at most 1024 characters");
  }
  errors.invalidAll("namespace", own, dnsSubdomain(own));
}

function series(o: Any, errors: FieldErrors): void {
  if (o.series === undefined) return;
  if ((o.series.count ?? 0) < 2) errors.invalid("series.count", "", "should be at least 2");
  if (!isSet(o.series.lastObservedTime)) errors.required("series.lastObservedTime");
}

/** core/v1. */
export const event: Validation = {
  validate: (o, errors) => legacy(o, "reportingComponent", errors),
  validateUpdate: (o, _old, errors) => legacy(o, "reportingComponent", errors),
};

/** events.k8s.io/v1, of objects in the core form. */
export const eventV1: Validation = {
  validate(o, errors) {
    legacy(o, "reportingController", errors);
    objectMeta(o, true, dnsSubdomain, errors);
    series(o, errors);
    if (!isSet(o.eventTime)) errors.required("eventTime");
    if (o.type !== "Normal" && o.type !== "Warning") errors.invalid("type", "", `has invalid value: ${o.type ?? ""}`);
    for (const field of ["firstTimestamp", "lastTimestamp"]) if (isSet(o[field])) errors.invalid(field, "", "needs to be unset");
    if ((o.count ?? 0) !== 0) errors.invalid("count", "", "needs to be unset");
    if ((o.source?.component ?? "") !== "" || (o.source?.host ?? "") !== "") errors.invalid("source", "", "needs to be unset");
  },
  validateUpdate(o, old, errors) {
    legacy(o, "reportingController", errors);
    objectMetaUpdate(o, old, errors);
    if (!deepEqual(o.series, old.series)) series(o, errors);
    const reference = (field: string): void => {
      if (deepEqual(o[field] ?? null, old[field] ?? null)) return;
      errors.invalidGo(field, o[field] === undefined ? "\"null\"" : goValue("core.ObjectReference", o[field], field, errors), "field is immutable");
    };
    const same = (field: string, shown = field): void => immutable(o[field] ?? "", old[field] ?? "", shown, errors);
    reference("involvedObject");
    same("reason");
    same("message");
    if (!deepEqual(o.source ?? {}, old.source ?? {})) errors.invalidGo("source", `core.EventSource{Component:${JSON.stringify(o.source?.component ?? "")}, Host:${JSON.stringify(o.source?.host ?? "")}}`, "field is immutable");
    same("firstTimestamp");
    same("lastTimestamp");
    if ((o.count ?? 0) !== (old.count ?? 0)) errors.invalid("count", o.count ?? 0, "field is immutable");
    same("reason");
    same("type");
    same("eventTime");
    same("action");
    reference("related");
    same("reportingComponent", "reportingController");
    same("reportingInstance");
  },
};
