/** The key that service accounts' tokens are signed with (`--service-account-signing-key-file`), made by the platform. */

export interface SigningKey {
  /** The JWS algorithm. */
  readonly algorithm: "RS256";
  /** The key's id: SHA-256 of its public half in DER, base64url. Follows keyIDFromPublicKey of pkg/serviceaccount/jwt.go. */
  readonly id: string;
  /** The public half, as clients verify tokens by it: modulus and exponent, base64url. */
  readonly publicKey: { readonly n: string; readonly e: string };
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  verify(bytes: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

/** Makes the key when it is first asked for; the same one from then on. */
export type SigningKeySource = () => Promise<SigningKey>;
