"""Sessions with a hidden tag aren't published; the project of the others becomes a label that policies can read."""

import re

from wicketgate_plugin import attribute, discovery_filter, drop, keep

# What a candidate says may be anything; a label that isn't one line of text would be an error.
LABEL = re.compile("[A-Za-z0-9_.-]{1,63}")


class HiddenTags:
    def __init__(self, config):
        self.hidden = config.texts("hidden_tags")
        self.reads = [attribute("project"), attribute("tag")]

    def filter(self, candidate):
        attributes = candidate.attributes
        if any(attributes.has("tag", tag) for tag in self.hidden):
            return drop("hidden")
        project = attributes.first("project") or ""
        return keep("shown", labels={"team": project} if LABEL.fullmatch(project) else None)


Discovery = discovery_filter(HiddenTags)
