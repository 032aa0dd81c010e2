/** All containers of a pod, of any sort. Follows pkg/api/pod/util.go (VisitContainers). */
import type { Container, PodSpec } from "../../api/types.generated.ts";

/** Init containers, containers, ephemeral containers; also of a spec that has not been judged yet. Ephemeral ones have a container's fields. */
export const containersOf = (spec: PodSpec): Container[] => [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...((spec.ephemeralContainers ?? []) as unknown as Container[])];
