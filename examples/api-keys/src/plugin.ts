// Programs are known by keys that they send in `x-api-key`. The configuration holds no key, only what SHA-256 makes of it.

import { abstain, allow, authenticator, deny, type Config, type Decision, type Timestamp } from "wicketgate-plugin/authentication";

import { sha256 } from "./sha256.js";

interface Owner {
  id: string;
  groups: string[];
  /** The instant from which the key no longer counts. */
  until?: Timestamp;
}

/** In bytes. A longer one is nobody's, and would take longer to digest than a call may. */
const LONGEST_KEY = 256;

/** What a client is told that sent no key that counts; programs that send none are told nothing. */
const ASK = { schemes: ['ApiKey realm="wicketgate"'] };

export const authentication = authenticator((config) => {
  const owners = new Map<string, Owner>();
  for (const [id, entry] of config.table("programs")) {
    const owner = { id, groups: entry.texts("groups", []), until: instant(entry, "until") };
    for (const digest of entry.texts("sha256")) {
      if (!/^[0-9a-f]{64}$/.test(digest)) entry.refuse("sha256", `"${digest}"`, "64 hexadecimal digits in lower case");
      if (owners.has(digest)) entry.refuse("sha256", `"${digest}" again`, "each key once");
      owners.set(digest, owner);
    }
  }

  return {
    reads: [{ header: "x-api-key", credential: true }],
    authenticate({ http, now }): Decision {
      const keys = http?.headerBytes("x-api-key") ?? [];
      if (keys.length === 0) return abstain("no-key");
      if (keys.length > 1) return deny("several-keys");
      const owner = keys[0].length <= LONGEST_KEY ? owners.get(sha256(keys[0])) : undefined;
      if (owner === undefined) return abstain("unknown-key", { challenge: ASK });
      if (owner.until !== undefined && owner.until <= now) return abstain("expired-key", { detail: owner.id, challenge: ASK });
      return allow("key", { id: owner.id, groups: owner.groups }, { validUntil: owner.until });
    },
  };
});

/** A day as the instant at which it ends, in UTC. */
function instant(entry: Config, key: string): Timestamp | undefined {
  const day = entry.text(key, undefined);
  if (day === undefined) return undefined;
  const begins = /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN;
  return Number.isNaN(begins) ? entry.refuse(key, `"${day}"`, "a day as 2027-06-30") : begins + 86_400_000;
}
