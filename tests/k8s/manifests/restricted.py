"""The rules of Kubernetes' *restricted* Pod Security Standard, for a pod's template.

https://kubernetes.io/docs/concepts/security/pod-security-standards/ (the rows of Baseline and Restricted).
"""

from __future__ import annotations

from streamer.control.cluster.plan import Object

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(template: Object) -> list[str]:
    """What the standard would refuse, a word or two each."""
    spec = template["spec"]
    pod = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [kind for one in spec.get("volumes", []) for kind in one if kind != "name" and kind not in VOLUMES]
    found += ["sysctls"] if pod.get("sysctls") else []
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        both = {**pod, **own}
        found += ["runAsNonRoot"] if both.get("runAsNonRoot") is not True else []
        found += ["runAsUser"] if both.get("runAsUser") == 0 else []
        found += (
            ["seccompProfile"]
            if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost")
            else []
        )
        found += ["allowPrivilegeEscalation"] if own.get("allowPrivilegeEscalation") is not False else []
        found += ["privileged"] if own.get("privileged") else []
        capabilities = own.get("capabilities", {})
        found += ["drop"] if capabilities.get("drop") != ["ALL"] else []
        found += ["add"] if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"} else []
        found += ["procMount"] if own.get("procMount", "Default") != "Default" else []
        found += ["hostPort"] if any(port.get("hostPort") for port in container.get("ports", [])) else []
    return found
