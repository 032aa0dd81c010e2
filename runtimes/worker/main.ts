/** The script of a cluster in a dedicated worker: serves `createCluster` to the page (`openWorker` in kubewire/browser). */
import { exposeCluster } from "./index.ts";

exposeCluster();
