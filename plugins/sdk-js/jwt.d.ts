import type { Timestamp } from "./shared.js";

export type Claim = string | number | boolean | string[] | unknown;

export type Verified =
  | {
    ok: true;
    /** One for each claim that was declared, in their order; undefined where the token doesn't have it. */
    claims: Claim[];
    /** Undefined: it doesn't expire. */
    validUntil?: Timestamp;
  }
  | {
    ok: false;
    why: "malformed" | "algorithm" | "unknown-key" | "signature" | "expired" | "not-yet-valid" | "audience" | "issuer"
      | "critical-header" | "refused";
    /** For the log: tell a client no more than "invalid token". */
    detail?: string;
  };

/** Has the host verify a token by the declared verification of this number. Throws `Unavailable` where the key set isn't there. */
export function verify(verification: number, token: string): Verified;
