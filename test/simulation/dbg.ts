
export { planOf, simulate, chosen } from "./simulate.ts";
import { Checker } from "./invariants.ts";
export { Checker };
