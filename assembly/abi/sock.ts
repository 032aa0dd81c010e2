// Numbers that the kernel and its driver share: socket calls, readiness, socket options. See core.ts.

export const READY_READ: u32 = 1;
export const READY_WRITE: u32 = 2;
export const READY_ERROR: u32 = 4;
export const READY_HANGUP: u32 = 8;
