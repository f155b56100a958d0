// @ts-check
// Sessions with a hidden tag aren't published; the project of the others becomes a label that policies can read.

import { discoveryFilter, drop, keep } from "wicketgate-plugin/discovery";

export const discovery = discoveryFilter((config) => {
  const hidden = config.texts("hidden_tags");
  return {
    reads: [{ attribute: "project" }, { attribute: "tag" }],
    filter({ attributes }) {
      if (hidden.some((tag) => attributes.has("tag", tag))) return drop("hidden");
      const project = attributes.first("project");
      return keep("shown", { labels: project === undefined ? {} : { team: project } });
    },
  };
});
