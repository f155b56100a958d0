// What the three kinds have in common: configured once, then asked.

import { at, install } from "./clock.js";
import { Config } from "./config.js";
import { Declared, declaration } from "./declaration.js";
import { guarded } from "./errors.js";

// Node's tests run in an engine that has a clock, and need it themselves.
if (globalThis.process === undefined) install();

/** The two functions that a component exports. `ask` makes the author's view of what is asked, `contract` checks the answer. */
export function exported(configure, name, { view, contract }) {
  let plugin;
  let declared;
  return {
    configure: (json) => guarded(() => {
      if (typeof configure !== "function") throw new TypeError("expected a function that takes the configuration");
      const config = Config.parse(json);
      const made = configure(config);
      // What isn't of the declaration's shape first: an answer that is a promise has read nothing yet.
      const reads = declaration(made, name);
      config.finish();
      declared = new Declared(reads);
      plugin = made;
      return reads;
    }),
    [name]: (asked) => guarded(() => {
      if (plugin === undefined) throw new Error("called before configure");
      return at(asked.now, () => contract(plugin[name](view(asked, declared))));
    }),
  };
}
