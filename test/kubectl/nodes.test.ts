/** Nodes: cordon, taint, drain, what is told of them. */
import { transcript } from "./transcript.ts";

transcript("nodes");
