"""Drives a Redfish BMC with OpenStack's sushy, and prints what it saw as one JSON object per line."""
import json
import sys

import sushy
from sushy import auth

url, username, password, kind = sys.argv[1:5]
how = auth.SessionAuth if kind == "session" else auth.BasicAuth
connection = sushy.Sushy(url, verify=False, auth=how(username=username, password=password))


def show(step):
    system = connection.get_system(connection.get_system_collection().members_identities[0])
    system.refresh(force=True)
    print(json.dumps({
        "step": step,
        "uuid": system.uuid,
        "power": system.power_state.value,
        "target": system.boot.target.value,
        "enabled": system.boot.enabled.value,
        "mode": system.boot.mode.value,
        "macs": sorted(system.ethernet_interfaces.summary.keys()),
        "memory": system.memory_summary.size_gib,
        "manager": connection.get_manager_collection().get_members()[0].firmware_version,
        "chassis": connection.get_chassis_collection().get_members()[0].chassis_type.value,
    }), flush=True)
    return system


system = show("start")
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE)
system = show("override")
system.reset_system(sushy.ResetType.ON)
system = show("on")
system.reset_system(sushy.ResetType.FORCE_RESTART)
system = show("restarted")
system.reset_system(sushy.ResetType.FORCE_OFF)
show("off")
try:
    system.reset_system(sushy.ResetType.FORCE_RESTART)
    print(json.dumps({"step": "refused", "message": None}), flush=True)
except sushy.exceptions.HTTPError as error:
    print(json.dumps({"step": "refused", "status": error.status_code, "message": error.detail}), flush=True)
if kind == "session":
    connection._auth.close()
