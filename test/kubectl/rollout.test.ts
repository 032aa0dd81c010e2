/** Workloads: rollouts, changes, scales, and how kubectl describes them. */
import { transcript } from "./transcript.ts";

transcript("rollout");
