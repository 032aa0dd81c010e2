/** What kubectl learns of a cluster: resources, versions, explanations; plugins and proxies. */
import { transcript } from "./transcript.ts";

transcript("discovery");
