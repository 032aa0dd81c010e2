/**
 * AssemblyScript's number types for `assembly/abi.ts`, which both compilers read: asc takes it as it is, TypeScript
 * through these names. Nothing else under `src/` should use them.
 */
type u8 = number;
type i8 = number;
type u16 = number;
type i16 = number;
type u32 = number;
type i32 = number;
type usize = number;
type isize = number;
type f64 = number;
type bool = boolean;

/** SHA-256 (hex) of the `assembly/abi.ts` this TypeScript was built with; the kernel carries its own in the custom section `kubewire.abi`. */
declare const __KUBEWIRE_ABI__: string;
