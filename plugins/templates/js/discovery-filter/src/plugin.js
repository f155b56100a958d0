// @ts-check
// Sessions with a hidden tag aren't published; the project of the others becomes a label that policies can read.

import { discoveryFilter, drop, keep } from "wicketgate-plugin/discovery";

// What a candidate says may be anything; a label that isn't one line of text would be an error.
const LABEL = /^[A-Za-z0-9_.-]{1,63}$/;

export const discovery = discoveryFilter((config) => {
  const hidden = config.texts("hidden_tags");
  return {
    reads: [{ attribute: "project" }, { attribute: "tag" }],
    filter({ attributes }) {
      if (hidden.some((tag) => attributes.has("tag", tag))) return drop("hidden");
      const project = attributes.first("project") ?? "";
      return keep("shown", { labels: LABEL.test(project) ? { team: project } : {} });
    },
  };
});
