/** Failed system calls: errno's names, and how strerror words them. */

const TEXTS = {
  EPERM: "Operation not permitted", ENOENT: "No such file or directory", ESRCH: "No such process", EINTR: "Interrupted system call",
  EIO: "I/O error", ENOEXEC: "Exec format error", EBADF: "Bad file descriptor", ECHILD: "No child process", EAGAIN: "Resource temporarily unavailable",
  EACCES: "Permission denied", EBUSY: "Device or resource busy", EEXIST: "File exists", EXDEV: "Invalid cross-device link", ENODEV: "No such device",
  ENOTDIR: "Not a directory", EISDIR: "Is a directory", EINVAL: "Invalid argument", ENOTTY: "Not a tty", ETXTBSY: "Text file busy", EFBIG: "File too large",
  ENOSPC: "No space left on device", ESPIPE: "Illegal seek", EROFS: "Read-only file system", EMLINK: "Too many links", EPIPE: "Broken pipe",
  ENAMETOOLONG: "File name too long", ENOTEMPTY: "Directory not empty", ELOOP: "Too many levels of symbolic links", EOPNOTSUPP: "Operation not supported",
  EADDRINUSE: "Address in use", EADDRNOTAVAIL: "Cannot assign requested address", ENETUNREACH: "Network is unreachable", ECONNRESET: "Connection reset by peer",
  ETIMEDOUT: "Operation timed out", ECONNREFUSED: "Connection refused", EHOSTUNREACH: "Host is unreachable", ENOTCONN: "Not connected",
} as const;

export type ErrnoName = keyof typeof TEXTS;

/** What strerror says of it; the name itself where it says nothing. */
export const strerror = (code: string): string => (Object.hasOwn(TEXTS, code) ? TEXTS[code as ErrnoName] : code);

export class Errno extends Error {
  readonly code: ErrnoName;
  constructor(code: ErrnoName) {
    super(strerror(code));
    this.name = "Errno";
    this.code = code;
  }
}

/** The words for a failed call of any sort; anything but a failed call is thrown on. */
export function reasonOf(error: unknown): string {
  if (error instanceof Errno) return error.message;
  const { name, code } = error as { name?: string; code?: string };
  if (name === "SocketError" && code !== undefined) return strerror(code);
  throw error;
}
