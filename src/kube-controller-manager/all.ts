/** All controllers of a complete cluster, in the order of starting. */
import { CORE_CONTROLLERS } from "./core.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { WORKLOAD_CONTROLLERS } from "./workloads.ts";

export const ALL_CONTROLLERS: readonly ControllerInitializer[] = [...CORE_CONTROLLERS, ...WORKLOAD_CONTROLLERS];
