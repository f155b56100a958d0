"""Sessions are published when their names follow the house's rule, and the rule's named groups become labels for policies."""

import re

from wicketgate_plugin import attribute, discovery_filter, drop, keep

# Names are hostile input, and a pattern may be slow on long ones. A call that takes too long is cut off by the gateway.
LONGEST = 128


class NamingRules:
    def __init__(self, config):
        pattern = config.text("pattern")
        try:
            self.pattern = re.compile(pattern)
        except re.error as error:
            config.refuse("pattern", repr(pattern), f"a regular expression: {error}")
        self.exempt_owners = config.texts("exempt_owners", [])
        self.access = {purpose: entry.word("access", ["company", "public"]) for purpose, entry in config.table("purposes")}
        if self.access and "purpose" not in self.pattern.groupindex:
            config.refuse("pattern", repr(pattern), "a group named purpose, since purposes are configured")
        self.reads = [attribute("session.name"), attribute("owner")]

    def filter(self, candidate):
        attributes = candidate.attributes
        if attributes.first("owner") in self.exempt_owners:
            return keep("exempt-owner")
        name = attributes.first("session.name") or ""
        # A pattern may match a line's end as well, and a label that isn't one line of text would be an error.
        found = self.pattern.fullmatch(name) if len(name) <= LONGEST and name.isprintable() else None
        if found is None:
            return drop("bad-name", detail=name[:LONGEST])
        labels = {group: value for group, value in found.groupdict().items() if value is not None}
        return keep("good-name", labels=labels, access=self.access.get(labels.get("purpose")))


Discovery = discovery_filter(NamingRules)
