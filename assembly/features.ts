// Compile-time switches (DESIGN decision 16). kernel.wasm has everything; kernel-core.wasm, built with FULL = false, has what
// pods, Services and an overlay need, for pages and the edge. A branch on a constant is left out of the module together with
// all that only it calls: put one where a number is dispatched (a match, a target, a device kind, a command), nowhere else.

/** Everything, or the core. */
export const FULL: bool = true;
