/** Errors of the rtnetlink calls, worded as the kernel's extended acknowledgements and iproute2 word them. */
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENETDOWN, ENETUNREACH, ENODEV, ESRCH } from "../../assembly/abi/core.ts";
import { errnoName } from "./memory.ts";
import { KernelError } from "./netns.ts";

/** strerror(3) of what rtnetlink answers. */
const TEXTS: Readonly<Record<string, string>> = {
  EPERM: "Operation not permitted", ENOENT: "No such file or directory", ESRCH: "No such process",
  EBADF: "Bad file descriptor", ENOMEM: "Cannot allocate memory", EBUSY: "Device or resource busy", EEXIST: "File exists",
  ENODEV: "No such device", EINVAL: "Invalid argument", ENFILE: "Too many open files in system", ERANGE: "Numerical result out of range",
  ELOOP: "Too many levels of symbolic links", EOPNOTSUPP: "Operation not supported",
  EADDRNOTAVAIL: "Cannot assign requested address", ENETDOWN: "Network is down", ENETUNREACH: "Network is unreachable",
  ENOBUFS: "No buffer space available", EHOSTUNREACH: "No route to host",
};

/** What was asked, where the kernel's text depends on it. */
export type Asked = "address" | "address-delete" | "route" | "route-delete" | "gateway";

/** The error for an errno (positive number). */
export function rtnetlinkError(errno: number, asked?: Asked): KernelError {
  const code = errnoName(-errno);
  if (asked === "gateway" && (errno === ENETUNREACH || errno === EINVAL)) {
    return new KernelError(code, "Error: Nexthop has invalid gateway.");
  }
  if (asked === "gateway" && errno === ENETDOWN) return new KernelError(code, "Error: Device for nexthop is not up.");
  if (asked === "route" && errno === ENETDOWN) return new KernelError(code, "Error: Device for nexthop is not up.");
  if (asked === "address" && errno === EEXIST) return new KernelError(code, "Error: ipv4: Address already assigned.");
  if (asked === "address-delete" && errno === EADDRNOTAVAIL) return new KernelError(code, "Error: ipv4: Address not found.");
  if (asked === "route" && errno === ENODEV) return new KernelError(code, "RTNETLINK answers: No such device");
  if (asked === "route-delete" && errno === ESRCH) return new KernelError(code, "RTNETLINK answers: No such process");
  return new KernelError(code, `RTNETLINK answers: ${TEXTS[code] ?? code}`);
}
