/** Applets on the network. */
import { busyboxPrograms } from "../../images/busybox.ts";
import type { Main } from "../os/process.ts";
import { contextMain } from "../program-context.ts";

export const netApplets: Readonly<Record<string, Main>> = {
  wget: contextMain(busyboxPrograms["wget"]!), nslookup: contextMain(busyboxPrograms["nslookup"]!), ping: contextMain(busyboxPrograms["ping"]!),
};
