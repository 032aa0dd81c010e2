/** What kubectl apply, diff and kustomize do on either side. */
import { transcript } from "./transcript.ts";

transcript("apply");
