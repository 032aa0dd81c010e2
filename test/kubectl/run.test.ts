/** Pods: run, waited for, looked into, copied to, debugged, deleted. */
import { transcript } from "./transcript.ts";

transcript("run");
