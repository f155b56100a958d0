// What an author throws, and what becomes of it: whatever leaves the plugin is the contract's `error`, never a trap.

/** A text longer than this says no more to the reader of a log. */
const LONGEST = 1000;

export class InvalidConfig extends Error {
  constructor(key, found, expected) {
    super(`${key}: found ${found}, expected ${expected}`);
    this.name = "InvalidConfig";
    this.key = key;
    this.found = found;
    this.expected = expected;
  }
}

export class Unavailable extends Error {
  constructor(message) {
    super(message);
    this.name = "Unavailable";
  }
}

/** Whether the contract can carry a text: halves of surrogate pairs are no characters. Not each engine has the function. */
export const isWhole = "".isWellFormed ? (text) => text.isWellFormed() : (text) => !/\p{Surrogate}/u.test(text);

/** Text that the contract can carry, bounded. */
export function bounded(value) {
  const text = String(value);
  const kept = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return isWhole(kept) ? kept : kept.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Runs an author's code. What it throws is thrown on as the contract has it, whatever it is. */
export function guarded(work) {
  try {
    return work();
  } catch (thrown) {
    throw contractError(thrown);
  }
}

function contractError(thrown) {
  try {
    if (thrown instanceof InvalidConfig) {
      const val = { key: bounded(thrown.key), found: bounded(thrown.found), expected: bounded(thrown.expected) };
      return { tag: "invalid-config", val };
    }
    if (thrown instanceof Unavailable) {
      return { tag: "unavailable", val: bounded(thrown.message) };
    }
    return { tag: "other", val: bounded(thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `threw ${thrown}`) };
  } catch {
    // Its name or message is code that throws.
    return { tag: "other", val: "threw something that can't be shown" };
  }
}
