/** What goes wrong between an object's bytes and a loaded program. */

/** errno(3) names, and libbpf's own codes (enum libbpf_errno). */
export type LoadErrno =
  | "EINVAL" | "ENOENT" | "ENOTSUP" | "EOPNOTSUPP" | "ESRCH" | "E2BIG" | "EPERM" | "EACCES" | "ENOMEM" | "EEXIST" | "ERANGE" | "ENAMETOOLONG"
  | "EBUSY" | "EFAULT" | "ELOOP" | "ENOSPC" | "EBADF" | "ENOTSUPP" | "EAGAIN" | "EDEADLK" | "ENODEV"
  | "LIBELF" | "FORMAT" | "KVERSION" | "ENDIAN" | "INTERNAL" | "RELOC" | "LOAD" | "VERIFY" | "PROG2BIG" | "KVER" | "PROGTYPE";

/**
 * An object that cannot be opened or loaded. `message` is what libbpf prints, without its "libbpf: ", one line each, the first the cause;
 * `errno` what the call would have returned; `log` the verifier's, when it was the verifier who refused.
 */
export class BpfObjectError extends Error {
  readonly errno: LoadErrno;
  readonly log: string | undefined;

  constructor(errno: LoadErrno, message: string, log?: string) {
    super(message);
    this.name = "BpfObjectError";
    this.errno = errno;
    this.log = log;
  }
}

const TEXTS: Partial<Record<LoadErrno, string>> = {
  EINVAL: "Invalid argument",
  ENOENT: "No such file or directory",
  ENOTSUP: "Operation not supported",
  EOPNOTSUPP: "Operation not supported",
  ESRCH: "No such process",
  E2BIG: "Argument list too long",
  EPERM: "Operation not permitted",
  EACCES: "Permission denied",
  ENOMEM: "Cannot allocate memory",
  EEXIST: "File exists",
  ERANGE: "Numerical result out of range",
  EBUSY: "Device or resource busy",
  EFAULT: "Bad address",
  ELOOP: "Too many levels of symbolic links",
  ENOSPC: "No space left on device",
  EBADF: "Bad file descriptor",
  ENOTSUPP: "Unknown error 524",
  ENAMETOOLONG: "File name too long",
  EAGAIN: "Resource temporarily unavailable",
  EDEADLK: "Resource deadlock avoided",
  ENODEV: "No such device",
  LIBELF: "Something wrong in libelf",
  FORMAT: "BPF object format invalid",
  KVERSION: "'version' section incorrect or lost",
  ENDIAN: "Endian mismatch",
  INTERNAL: "Internal error in libbpf",
  RELOC: "Relocation failed",
};

/** What strerror(3), or libbpf_strerror for its own codes, says. */
export const errnoText = (errno: LoadErrno): string => TEXTS[errno] ?? errno;
