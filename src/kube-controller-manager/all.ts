/** All controllers of a complete cluster, in the order of starting. */
import { CORE_CONTROLLERS } from "./core.ts";
import { HOUSEKEEPING_CONTROLLERS } from "./housekeeping.ts";
import type { ControllerInitializer } from "./initializers.ts";
import { WORKLOAD_CONTROLLERS } from "./workloads.ts";

const MORE: readonly ControllerInitializer[] = [...WORKLOAD_CONTROLLERS, ...HOUSEKEEPING_CONTROLLERS];
const replaced = new Set(MORE.map(({ name }) => name));

/** What the core has under the same name is the smaller one. */
export const ALL_CONTROLLERS: readonly ControllerInitializer[] = [...CORE_CONTROLLERS.filter(({ name }) => !replaced.has(name)), ...MORE];
