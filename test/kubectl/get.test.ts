/** What kubectl get and kubectl events show, in every format. */
import { transcript } from "./transcript.ts";

transcript("get");
