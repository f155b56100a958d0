"""Guests may look into every session and change nothing. Everybody else is left to the next policy."""

from wicketgate_plugin import abstain, forward, reject, routing_policy


class ReadOnlyGuests:
    def __init__(self, config):
        self.guests = config.texts("guests")
        self.reads = ["identity", "method", "upgrade"]

    def route(self, request):
        person, http = request.principal, request.http
        if http is None:
            return abstain("not-http")
        if person is None or not any(group in self.guests for group in person.groups):
            return abstain("no-guest")
        # After an upgrade nobody sees any more what is done.
        if http.upgrade is None and http.method in ("GET", "HEAD"):
            return forward("guest")
        return reject("read-only", message="You may look, and change nothing.")


Routing = routing_policy(ReadOnlyGuests)
