/** kubeconfig files, and the options that say how a cluster is reached. */
import { transcript } from "./transcript.ts";

transcript("config");
