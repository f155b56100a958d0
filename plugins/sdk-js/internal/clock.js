// A plugin has no clock and no chance: the same inputs give the same decision. The engine's own would trap, or answer the same
// numbers in each instance, so what stands here takes their places. And it has no console, which libraries may count on.

const Engine = globalThis.Date;
let now;

function theInstant() {
  if (now === undefined) throw new Error("there is no time here: a plugin knows the instant of a call alone, as request.now");
  return now;
}

/** Runs a call with its instant: `Date.now()` and `new Date()` are that. */
export function at(instant, work) {
  now = instant;
  try {
    return work();
  } finally {
    now = undefined;
  }
}

/** For components alone. */
export function install() {
  globalThis.Date = class Date extends Engine {
    constructor(...of) {
      super(...(of.length === 0 ? [theInstant()] : of));
    }
    static now() {
      return theInstant();
    }
  };
  const nothing = () => {};
  globalThis.console ??= { debug: nothing, error: nothing, info: nothing, log: nothing, warn: nothing };
  Math.random = () => {
    throw new Error("Math.random isn't there: a decision follows from its inputs alone");
  };
}
