/** pods/NAME/ephemeralcontainers: containers join a pod that runs. Follows ValidatePodEphemeralContainersUpdate of pkg/apis/core/validation. */
import type { Pod } from "../../api/types.generated.ts";
import { deepEqual } from "../../apimachinery/meta.ts";
import type { KubeObject } from "../../apimachinery/meta.ts";
import { differing } from "../complete/validation/pod.ts";
import type { SubresourceUpdate } from "../registry/descriptor.ts";

/** In the order of the struct. */
const FORBIDDEN = ["ports", "resources", "resizePolicy", "restartPolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] as const;

export const ephemeralContainers: SubresourceUpdate = {
  prepare(changed, was) {
    const object = changed as Pod & KubeObject;
    const old = was as Pod & KubeObject;
    const { ephemeralContainers: wanted } = object.spec;
    // Nothing else is taken over, nor is it written down who did it.
    object.metadata = { ...old.metadata };
    object.status = old.status;
    object.spec = { ...old.spec, ...(wanted === undefined ? {} : { ephemeralContainers: wanted }) };
    if (wanted === undefined) delete (object.spec as { ephemeralContainers?: unknown }).ephemeralContainers;
  },
  validate(changed, was, errors) {
    const { spec } = changed as Pod & KubeObject;
    const before = (was as Pod & KubeObject).spec.ephemeralContainers ?? [];
    const taken = new Set([...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name));
    const targets = new Set(taken);
    for (const [i, container] of (spec.ephemeralContainers ?? []).entries()) {
      const at = `spec.ephemeralContainers[${i}]`;
      if (container.name === undefined || container.name === "") errors.required(`${at}.name`);
      else if (taken.has(container.name)) errors.duplicate(`${at}.name`, container.name);
      else taken.add(container.name);
      if ((container.image ?? "") === "") errors.required(`${at}.image`);
      for (const field of FORBIDDEN) if (isSet(container[field as keyof typeof container])) errors.forbidden(`${at}.${field}`, "cannot be set for an Ephemeral Container");
      const target = container.targetContainerName;
      if (target !== undefined && target !== "" && !targets.has(target)) errors.notFound(`${at}.targetContainerName`, target);
    }
    for (const container of before) {
      const now = (spec.ephemeralContainers ?? []).find(({ name }) => name === container.name);
      if (now === undefined) errors.forbidden("spec.ephemeralContainers", `existing ephemeral containers ${JSON.stringify(container.name)} may not be removed\n`);
      else if (!deepEqual(now, container)) errors.forbidden("spec.ephemeralContainers", `existing ephemeral containers ${JSON.stringify(container.name)} may not be changed${differing("core.EphemeralContainer", now, container)}`);
    }
  },
};

const isSet = (value: unknown): boolean => value !== undefined && !(typeof value === "object" && value !== null && Object.keys(value).length === 0);
