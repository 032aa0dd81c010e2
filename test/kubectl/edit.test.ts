/** What kubectl replace, patch, edit, label, annotate, expose and autoscale change. */
import { transcript } from "./transcript.ts";

transcript("edit");
