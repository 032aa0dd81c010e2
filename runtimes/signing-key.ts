/** A key pair for service accounts' tokens, by WebCrypto. */
import type { SigningKey, SigningKeySource } from "../src/kube-apiserver/signing-key.ts";

const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

const base64url = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** A new RSA key of 2048 bits. */
async function createSigningKey(): Promise<SigningKey> {
  const { subtle } = globalThis.crypto;
  const pair = await subtle.generateKey({ ...ALGORITHM, modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }, true, ["sign", "verify"]);
  const { n = "", e = "" } = await subtle.exportKey("jwk", pair.publicKey);
  const der = await subtle.exportKey("spki", pair.publicKey);
  return {
    algorithm: "RS256",
    id: base64url(new Uint8Array(await subtle.digest("SHA-256", der))),
    publicKey: { n, e },
    sign: async (bytes) => new Uint8Array(await subtle.sign(ALGORITHM.name, pair.privateKey, bytes as Uint8Array<ArrayBuffer>)),
    verify: (bytes, signature) => subtle.verify(ALGORITHM.name, pair.publicKey, signature as Uint8Array<ArrayBuffer>, bytes as Uint8Array<ArrayBuffer>),
  };
}

/** A key that is made when it is needed. */
export function signingKey(): SigningKeySource {
  let made: Promise<SigningKey> | undefined;
  return () => (made ??= createSigningKey());
}
