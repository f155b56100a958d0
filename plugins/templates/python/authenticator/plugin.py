"""Machines that can't log in (monitoring, build runners) are known by the addresses that they come from."""

from wicketgate_plugin import Principal, abstain, allow, authenticator


class KnownMachines:
    def __init__(self, config):
        self.machines = {}
        for machine in config.sections("machines"):
            known = Principal(machine.text("id"), groups=machine.texts("groups", []))
            self.machines.update({address: known for address in machine.texts("addresses")})
        self.reads = ["client-address"]

    def authenticate(self, request):
        machine = self.machines.get((request.http or request.tcp).client_address)
        return allow("machine", machine) if machine else abstain("unknown-address")


Authentication = authenticator(KnownMachines)
