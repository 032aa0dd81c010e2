/** Kinds beyond workloads: volumes, quotas, networks, custom resources. */
import { transcript } from "./transcript.ts";

transcript("kinds");
