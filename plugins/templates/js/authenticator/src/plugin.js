// @ts-check
// Machines that can't log in (monitoring, build runners) are known by the addresses that they come from.

import { abstain, allow, authenticator } from "wicketgate-plugin/authentication";

export const authentication = authenticator((config) => {
  /** @type {Map<string, {id: string, groups: string[]}>} */
  const machines = new Map();
  for (const machine of config.sections("machines")) {
    const known = { id: machine.text("id"), groups: machine.texts("groups", []) };
    for (const address of machine.texts("addresses")) machines.set(address, known);
  }
  return {
    reads: ["client-address"],
    authenticate(request) {
      const address = (request.http ?? request.tcp)?.clientAddress;
      const machine = machines.get(address ?? "");
      return machine ? allow("machine", machine) : abstain("unknown-address");
    },
  };
});
