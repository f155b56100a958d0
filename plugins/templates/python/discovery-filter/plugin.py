"""Sessions with a hidden tag aren't published; the project of the others becomes a label that policies can read."""

from wicketgate_plugin import attribute, discovery_filter, drop, keep


class HiddenTags:
    def __init__(self, config):
        self.hidden = config.texts("hidden_tags")
        self.reads = [attribute("project"), attribute("tag")]

    def filter(self, candidate):
        attributes = candidate.attributes
        if any(attributes.has("tag", tag) for tag in self.hidden):
            return drop("hidden")
        project = attributes.first("project")
        return keep("shown", labels={"team": project} if project else None)


Discovery = discovery_filter(HiddenTags)
