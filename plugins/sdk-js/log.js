// Lines in the gateway's log, where the manifest grants `log`. No credentials: the host can't recognise them.

import host from "wicketgate:plugin/log@0.1.0";

import { bounded } from "./internal/errors.js";

const write = (level) => (message) => host.write(level, bounded(message));

export const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };

// For libraries, and for whoever looks for a mistake.
const joined = (line) => (...values) => line(values.map(String).join(" "));
if (globalThis.process === undefined) {
  const { debug, info, warn, error } = log;
  globalThis.console = { debug: joined(debug), log: joined(info), info: joined(info), warn: joined(warn), error: joined(error) };
}
