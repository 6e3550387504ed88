"""Drives an IPMI BMC with OpenStack's pyghmi, and prints what it saw as one JSON object per line."""
import json
import sys

from pyghmi.ipmi import command

host, port, username, password = sys.argv[1:5]
bmc = command.Command(bmc=host, port=int(port), userid=username, password=password)


def show(step, seen):
    print(json.dumps({"step": step, "seen": seen}), flush=True)


show("start", bmc.get_power()["powerstate"])
bmc.set_bootdev("network", uefiboot=True)
show("once", bmc.get_bootdev())
bmc.set_bootdev("network", uefiboot=True, persist=True)
show("persistent", bmc.get_bootdev())
show("on", bmc.set_power("on", wait=True)["powerstate"])
show("off", bmc.set_power("off", wait=True)["powerstate"])
bmc.set_bootdev("default")
show("default", bmc.get_bootdev()["bootdev"])
bmc.set_identify(True)
bmc.ipmi_session.logout()
