/** What things cost in virtual time outside the kernel, in ns (the kernel's own costs: assembly/net/costs.ts). */

/**
 * One way between a component and the API server: half of what a small request over a kept-open HTTP/2 connection takes on a
 * local network. A window may not be longer.
 */
export const SITE_API_LATENCY_NS = 200_000;
