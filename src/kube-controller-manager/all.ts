/** All controllers of a complete cluster, in the order of starting. */
import { CORE_CONTROLLERS } from "./core.ts";
import type { ControllerInitializer } from "./initializers.ts";

export const ALL_CONTROLLERS: readonly ControllerInitializer[] = [...CORE_CONTROLLERS];
