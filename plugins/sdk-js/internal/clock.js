// A plugin has no clock and no chance: the same inputs give the same decision. The engine's own would trap, or answer the same
// numbers in each instance, so what stands here takes their places. And it has no console, which libraries may count on.

import { parse } from "./json.js";

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

/** The engine's `Date` but for its clock. A function and no class, because `Date()` is a text. */
export function instants() {
  function Date(...of) {
    if (new.target === undefined) return new Engine(theInstant()).toString();
    return Reflect.construct(Engine, of.length === 0 ? [theInstant()] : of, new.target);
  }
  Date.now = theInstant;
  Date.prototype = Engine.prototype;
  Date.prototype.constructor = Date;
  return Object.setPrototypeOf(Date, Engine);
}

/** For components alone. */
export function install() {
  globalThis.Date = instants();
  globalThis.performance = { now: theInstant, timeOrigin: 0 };
  JSON.parse = parse;
  const nothing = () => {};
  globalThis.console ??= { debug: nothing, error: nothing, info: nothing, log: nothing, warn: nothing };
  Math.random = () => {
    throw new Error("Math.random isn't there: a decision follows from its inputs alone");
  };
}
