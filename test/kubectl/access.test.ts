/** Who may do what: roles, impersonation, tokens, signing requests. */
import { transcript } from "./transcript.ts";

transcript("access");
