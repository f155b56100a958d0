// Lines in the gateway's log, where the manifest grants `log`. No credentials: the host can't recognise them.

import host from "wicketgate:plugin/log@0.1.0";

import { bounded } from "./internal/errors.js";

const write = (level) => (message) => host.write(level, bounded(message));

export const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
