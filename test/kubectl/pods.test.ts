/** What the real kubectl says of pods on their way, and of nodes. */
import { transcript } from "./transcript.ts";

transcript("pods");
