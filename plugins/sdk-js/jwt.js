// Verification of JSON Web Tokens by the host; the keys stay there. For authenticators whose manifest grants key sets.

import jwt from "wicketgate:plugin/jwt@0.1.0";

import { Unavailable } from "./internal/errors.js";
import { text, whole } from "./internal/shape.js";

export function verify(verification, token) {
  const [number, value] = [whole("verification", verification, 0xffffffff), text("token", token)];
  let verified;
  try {
    verified = jwt.verify(number, value);
  } catch (error) {
    // Only the contract's own `verify-error` has a tag.
    const refused = error?.payload ?? error;
    if (typeof refused?.tag !== "string") throw error;
    if (refused.tag === "unavailable") throw new Unavailable(refused.val);
    if (refused.tag === "undeclared") throw new Error(`verification ${number} isn't among what it said that it verifies`);
    return { ok: false, why: refused.tag, detail: refused.val ?? undefined };
  }
  return { ok: true, claims: verified.claims.map(claim), validUntil: verified.validUntil ?? undefined };
}

function claim(value) {
  if (value === null || value === undefined) return undefined;
  return value.tag === "json" ? JSON.parse(value.val) : value.val;
}
