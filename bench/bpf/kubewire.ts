/** Placeholder. */
export interface RunFigures { readonly ns: number[]; readonly retval: number }
export interface BigFigures { readonly instructions: number; readonly verify: number[]; readonly total: number[]; readonly withJit: number[]; readonly first: number }
