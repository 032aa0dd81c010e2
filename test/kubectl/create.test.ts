/** What kubectl create makes, and refuses. */
import { transcript } from "./transcript.ts";

transcript("create");
