"""What must hold for a Job: the rules of the Indexed ones above all."""

from __future__ import annotations

from tests.k8s.server import validation_meta as meta
from tests.k8s.server import validation_pod as pods
from tests.k8s.server.kinds import Obj
from tests.k8s.server.refusals import Cause, immutable, required, unsupported, wrong

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MOST_RULES = 20


def job(found: Obj) -> list[Cause]:
    spec, name = found["spec"], found["metadata"]["name"]
    causes: list[Cause] = []
    for key in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                "backoffLimitPerIndex", "maxFailedIndexes"):  # fmt: skip
        causes += pods.integer(spec, key, "spec")
    mode = spec.get("completionMode")
    if mode not in ("Indexed", "NonIndexed"):
        causes.append(unsupported("spec.completionMode", mode, ("Indexed", "NonIndexed")))
    if mode == "Indexed":
        causes += _indexed(spec, name)
    elif "backoffLimitPerIndex" in spec:
        causes.append(
            wrong("spec.backoffLimitPerIndex", spec["backoffLimitPerIndex"], "requires indexed completion mode")
        )
    if "maxFailedIndexes" in spec:
        if "backoffLimitPerIndex" not in spec:
            causes.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
        if spec["maxFailedIndexes"] > (spec.get("completions") or 0):
            causes.append(
                wrong("spec.maxFailedIndexes", spec["maxFailedIndexes"], "must be less than or equal to completions")
            )
    causes += pods.template(spec["template"], "spec.template") + _policies(spec)
    return causes


def _indexed(spec: Obj, name: str) -> list[Cause]:
    causes: list[Cause] = []
    if spec.get("completions") is None:
        return [required("spec.completions", "when completion mode is Indexed")]
    if spec["parallelism"] > 100_000:
        causes.append(
            wrong("spec.parallelism", spec["parallelism"],
                  "must be less than or equal to 100000 when completion mode is Indexed")
        )  # fmt: skip
    hostname = f"{name}-{max(spec['completions'] - 1, 0)}"
    if why := meta.name_complaint(hostname, label=True):
        causes.append(
            wrong("metadata.name", name, f'will not able to create pod with invalid DNS label: "{hostname}": {why}')
        )
    return causes


def _policies(spec: Obj) -> list[Cause]:
    causes: list[Cause] = []
    policy, where = spec["template"]["spec"].get("restartPolicy"), "spec.template.spec.restartPolicy"
    if policy not in ("OnFailure", "Never"):
        causes.append(required(where, 'valid values: "OnFailure", "Never"') if policy is None
                      else unsupported(where, policy, ("OnFailure", "Never")))  # fmt: skip
    elif policy != "Never" and "podFailurePolicy" in spec:
        causes.append(wrong(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    elif policy != "Never" and "backoffLimitPerIndex" in spec:
        causes.append(wrong(where, policy, 'only "Never" is supported when backoffLimitPerIndex is specified'))
    replacement = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    if replacement not in allowed:
        causes.append(unsupported("spec.podReplacementPolicy", replacement, allowed))
    rules = spec.get("podFailurePolicy", {}).get("rules", [])
    if len(rules) > _MOST_RULES:
        causes.append(
            Cause("FieldValueTooMany", "spec.podFailurePolicy.rules",
                  f"Too many: {len(rules)}: must have at most {_MOST_RULES} items")
        )  # fmt: skip
    names = {
        c.get("name") for group in ("containers", "initContainers") for c in spec["template"]["spec"].get(group, [])
    }
    for number, rule in enumerate(rules):
        causes += _rule(rule, f"spec.podFailurePolicy.rules[{number}]", names, "backoffLimitPerIndex" in spec)
    return causes


def _rule(rule: Obj, path: str, names: set[str | None], per_index: bool) -> list[Cause]:
    causes: list[Cause] = []
    action, codes, conditions = rule.get("action"), rule.get("onExitCodes"), rule.get("onPodConditions")
    if action not in _ACTIONS:
        causes.append(unsupported(f"{path}.action", action, _ACTIONS))
    elif action == "FailIndex" and not per_index:
        causes.append(wrong(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    if codes and conditions:
        causes.append(wrong(path, "", "specifying both OnExitCodes and OnPodConditions is not supported"))
    if not codes and not conditions:
        causes.append(wrong(path, "", "specifying one of OnExitCodes and OnPodConditions is required"))
    if codes:
        where = f"{path}.onExitCodes"
        values = codes.get("values") or []
        if codes.get("operator") not in ("In", "NotIn"):
            causes.append(unsupported(f"{where}.operator", codes.get("operator"), ("In", "NotIn")))
        if codes.get("containerName") and codes["containerName"] not in names:
            causes.append(
                wrong(
                    f"{where}.containerName",
                    codes["containerName"],
                    "must be one of the container or initContainer names in the pod template",
                )
            )
        if not values:
            causes.append(wrong(f"{where}.values", values, "at least one value is required"))
        elif values != sorted(values):
            causes.append(wrong(f"{where}.values", values, "must be ordered"))
        if len(set(values)) != len(values):
            causes.append(Cause("FieldValueDuplicate", f"{where}.values", f"Duplicate value: {values[-1]}"))
        if codes.get("operator") == "In" and 0 in values:
            causes.append(wrong(f"{where}.values[{values.index(0)}]", 0, "must not be 0 for the In operator"))
    return causes


_FIXED = (
    "template", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy",
)  # fmt: skip


def job_update(new: Obj, old: Obj) -> list[Cause]:
    causes = meta.immutable_fields(new, old, "spec", _FIXED)
    if new.get("completions") != old.get("completions"):
        if new.get("completionMode") != "Indexed":
            causes.append(immutable("spec.completions", new.get("completions")))
        elif new.get("completions") != new.get("parallelism"):
            causes.append(
                wrong(
                    "spec.completions", new.get("completions"), "can only be modified in tandem with spec.parallelism"
                )
            )
    return causes


def selector(found: Obj) -> list[Cause]:
    """A selector of one's own is refused unless it is asked for."""
    spec = found["spec"]
    if spec.get("selector") and not spec.get("manualSelector"):
        return [wrong("spec.selector", spec["selector"], "`selector` not auto-generated")]
    if spec.get("manualSelector") and not spec.get("selector"):
        return [required("spec.selector")]
    return []
