// @ts-check
// Guests may look into every session and change nothing. Everybody else is left to the next policy.

import { abstain, forward, reject, routingPolicy } from "wicketgate-plugin/routing";

export const routing = routingPolicy((config) => {
  const guests = config.texts("guests");
  return {
    reads: ["identity", "method", "upgrade"],
    route(request) {
      if (!request.http) return abstain("not-http");
      if (!request.principal?.groups.some((group) => guests.includes(group))) return abstain("no-guest");
      const { method, upgrade } = request.http;
      // After an upgrade nobody sees any more what is done.
      if (upgrade === undefined && (method === "GET" || method === "HEAD")) return forward("guest");
      return reject("read-only", { message: "You may look, and change nothing." });
    },
  };
});
