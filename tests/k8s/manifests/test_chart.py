"""The folder k8s: every object of the chart valid, what it says about metrics and settings true, its values checked."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from streamer.cli import load
from streamer.control.access import config as access_config
from streamer.control.cluster.leadership import LEADS_LABEL
from streamer.control.cluster.plan import Gpu, Needs, Object
from streamer.control.cluster.quantity import check, resources
from streamer.control.cluster.site import parse
from streamer.control.security import check_listening
from streamer.settings import PREFIX, Settings
from tests.control.parts import control_plane, environment
from tests.k8s.manifests.restricted import violations
from tests.k8s.manifests.tools import called, unpacked

ROOT = Path(__file__).parents[3]
CHART = ROOT / "k8s" / "chart" / "cavecast"
VALUES = sorted(CHART.glob("values*.yaml"))
TODAY = [path for path in VALUES if path.name != "values-postgresql.yaml"]
VERSION = "1.37"
OF_OPERATORS = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, whose schemas the clusters' own do not have."""
Tool = Callable[..., str]
LEAST = 'namespace = "rivers"\n'
"""How a site begins."""


@pytest.fixture(scope="module")
def tools(request: pytest.FixtureRequest) -> Path:
    cache = request.config.cache
    assert cache is not None
    return unpacked(cache.mkdir("kubectl-layer"))


@pytest.fixture
def helm(tools: Path, tmp_path: Path) -> Tool:
    def run(*arguments: str | Path, fails: bool = False) -> str:
        done = called(tools / "helm" / "helm", *arguments, home=tmp_path)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def rendered(helm: Tool) -> Callable[..., list[Object]]:
    def render(*arguments: str | Path, name: str = "cavecast") -> list[Object]:
        out = helm("template", name, CHART, "--namespace", "cavecast", *arguments)
        return [each for each in yaml.safe_load_all(out) if each is not None]

    return render


def valid(each: Object) -> None:
    """Raises unless an object is one by the clusters' own schema."""
    if each["kind"] not in OF_OPERATORS:
        kubernetes_validate.validate(each, VERSION, strict=True)


def one(things: list[Object], kind: str) -> Object:
    (found,) = [each for each in things if each["kind"] == kind]
    return found


# ------------------------------------------------------------ the chart


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_values_file_passes_lint_and_makes_valid_objects_of_one_namespace(
    values: Path, helm: Tool, rendered: Callable[..., list[Object]]
) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, "--values", values)
    things = rendered("--values", values, "--set", "grafana.dashboard.enabled=true,prometheusRule.enabled=true")
    for each in things:
        valid(each)
        name = each["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name)
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "cavecast"
    assert len({(e["kind"], e["metadata"].get("namespace"), e["metadata"]["name"]) for e in things}) == len(things)
    deployment = one(things, "Deployment")
    template = deployment["spec"]["template"]
    assert violations(template) == []
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["enableServiceLinks"] is False
    check("the chart", Needs(requests=container["resources"]["requests"], limits=container["resources"]["limits"]))
    assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert one(things, "PrometheusRule")["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    (board,) = [e["data"]["cavecast.json"] for e in things if e["metadata"]["name"] == "cavecast-dashboard"]
    assert json.loads(board) == json.loads((CHART / "files" / "dashboard.json").read_text())


@pytest.mark.parametrize("values", TODAY, ids=lambda path: path.stem)
def test_what_is_installed_today_is_what_this_version_can_do(
    values: Path, rendered: Callable[..., list[Object]]
) -> None:
    things = rendered("--values", values)
    assert {each["kind"] for each in things} == {
        "Deployment", "PersistentVolumeClaim", "ServiceAccount", "NetworkPolicy",
    }  # fmt: skip
    spec = one(things, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    command, *arguments = container["args"]
    assert load(command).make_context(command, list(arguments)).params["host"] == "127.0.0.1"
    ours = {entry["name"] for entry in container["env"] if entry["name"].startswith(PREFIX)}
    assert {name.removeprefix(PREFIX).lower() for name in ours} <= set(Settings.model_fields)
    given = {
        entry["name"].removeprefix(PREFIX).lower(): entry["value"]
        for entry in container["env"]
        if entry["name"] in ours
    }
    Settings.model_validate(given)
    assert one(things, "NetworkPolicy")["spec"]["ingress"] == []
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        program, option, code = container[probe]["exec"]["command"]
        assert (program, option) == ("python", "-c")
        compile(code, probe, "exec")
        assert "http://127.0.0.1:8750/healthz" in code


def test_the_probes_see_a_real_control_plane_and_that_there_is_none(rendered: Callable[..., list[Object]]) -> None:
    (container,) = one(rendered(), "Deployment")["spec"]["template"]["spec"]["containers"]
    code = container["livenessProbe"]["exec"]["command"][2]
    # A proxy of the pod's environment is not asked for what is in the pod.
    proxied = environment(http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")

    def probed(port: int) -> int:
        asked = code.replace("127.0.0.1:8750", f"127.0.0.1:{port}")
        return subprocess.run(
            [sys.executable, "-c", asked], env=proxied, stderr=subprocess.DEVNULL, timeout=60
        ).returncode

    with control_plane() as (client, _):
        port = client.base_url.port
        assert port is not None
        assert probed(port) == 0
    assert probed(port) != 0


def test_nobody_is_let_in_and_runs_are_processes_unless_told_otherwise(rendered: Callable[..., list[Object]]) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert not values["access"]["enabled"]
    assert values["launcher"] == Settings.model_fields["launcher"].default
    made = {each["kind"] for each in rendered()}
    assert not made & {"Role", "RoleBinding", "ClusterRole", "Service", "Ingress", "ServiceMonitor", "Secret"}


def test_several_control_planes_share_a_database_and_start_runs_in_namespaces_of_their_own(
    rendered: Callable[..., list[Object]], helm: Tool
) -> None:
    things = rendered("--values", CHART / "values-postgresql.yaml")
    roles = [each for each in things if each["kind"] == "Role" and each["metadata"]["name"] == "cavecast-runs"]
    assert [each["metadata"]["namespace"] for each in roles] == ["rivers", "storms"]
    every = [rule for each in things if each["kind"] in ("Role", "ClusterRole") for rule in each["rules"]]
    assert all("*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"] for rule in every)
    assert all("deletecollection" not in rule["verbs"] for rule in every)
    assert one(things, "ClusterRole")["rules"] == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}
    ]
    without = rendered("--values", CHART / "values-postgresql.yaml", "--set", "cluster.listNodes=false")
    assert not [each for each in without if each["kind"].startswith("ClusterRole")]
    pod = one(things, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    assert {"name": "runs", "emptyDir": {"sizeLimit": "2Gi"}} in pod["volumes"]
    deployment = one(things, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (2, {"type": "RollingUpdate"})
    (site,) = [each for each in things if each["metadata"]["name"] == "cavecast-site"]
    found = parse(site["data"]["site.toml"].encode())
    assert (found.namespaces, found.installation) == (("rivers", "storms"), "cavecast")
    assert (found.lease.name, found.lease.namespace) == ("cavecast", "cavecast")
    assert found.controllers is not None
    assert found.controllers.labels.items() <= deployment["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    env = [entry for entry in container["env"] if entry["name"].startswith(PREFIX)]
    settings = {entry["name"].removeprefix(PREFIX).lower(): entry.get("value", "sqlite:///x") for entry in env}
    assert Settings.model_validate(settings).cluster == Path("/etc/cavecast/site.toml")
    said = helm("template", "cavecast", CHART, "--set", "replicas=2", fails=True)
    assert "replicas is more than 1: that needs launcher kubernetes and database.existingSecret" in said


def test_the_roles_are_those_that_a_site_of_ones_own_takes(rendered: Callable[..., list[Object]], helm: Tool) -> None:
    """The example, in a release that is called otherwise and is elsewhere than its Lease."""
    whole = (ROOT / "k8s" / "examples" / "site.toml").read_text()
    given = ("--set", "launcher=kubernetes", "--set-json", f"cluster.site={json.dumps(whole)}")
    things = rendered(*given, "--set", "cluster.namespaces={rivers,rivers-wall}", name="lab")
    (site,) = [each for each in things if each["kind"] == "ConfigMap"]
    found = parse(site["data"]["site.toml"].encode())
    assert found == parse(whole.encode())
    roles = [each for each in things if each["kind"] == "Role"]
    assert {each["metadata"].get("namespace", "") for each in roles} == {*found.namespaces, ""}
    (container,) = one(things, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    settings = Settings(leader_lease=env["CAVECAST_LEADER_LEASE"], run_namespaces=env["CAVECAST_RUN_NAMESPACES"])
    assert settings.run_namespaces == ",".join(found.namespaces)
    (rule,) = [rule for each in roles for rule in each["rules"] if "resourceNames" in rule]
    assert settings.leader_lease == f"cavecast/{rule['resourceNames'][0]}" == "cavecast/lab-cavecast"
    said = helm("template", "cavecast", CHART, *given, fails=True)
    assert "cluster.site is given without cluster.namespaces" in said


def test_pods_are_started_again_when_the_site_changes_which_is_read_at_the_start(
    rendered: Callable[..., list[Object]],
) -> None:
    def marks(*more: str) -> Object:
        things = rendered("--set", "launcher=kubernetes", *more)
        found: Object = one(things, "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return found

    assert marks() == marks()
    assert marks() != marks("--set", "cluster.workerImage=other"), "one that is made of the values"
    whole = [("--set-json", f"cluster.site={json.dumps(f'{LEAST}most_gpus = {count}')}") for count in (1, 2)]
    own = [marks(*one, "--set", "cluster.namespaces={rivers}", "--set", "podAnnotations.a=b") for one in whole]
    assert own[0] != own[1]
    assert {one["a"] for one in own} == {"b"}


WHO_MAY = ROOT / "examples" / "access" / "keycloak.toml"
LET_IN = (
    "--set-json", f"access.config={json.dumps(WHO_MAY.read_text())}", "--set", "access.enabled=true",
    "--set", "access.publicUrl=https://cavecast.example.org",
)  # fmt: skip
BEHIND = (*LET_IN, "--set", "access.trustedProxies={10.1.0.0/16,10.2.0.0/16}")


def settings_of(things: list[Object], path: Path) -> Settings:
    """The settings of the pod's control plane, with what lies in its Secret ``cavecast-access`` in ``path``."""
    (container,) = one(things, "Deployment")["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    flags = load(command).make_context(command, list(arguments)).params
    given = {
        entry["name"].removeprefix(PREFIX).lower(): entry["value"]
        for entry in container["env"] if entry["name"].startswith(PREFIX) and "value" in entry
    }  # fmt: skip
    mounted, name = str(given["access"]).rsplit("/", 1)
    assert mounted in [one["mountPath"] for one in container["volumeMounts"]]
    (secret,) = [each for each in things if each["kind"] == "Secret"]
    (path / name).write_text(secret["stringData"][name])
    return Settings.model_validate({**given, "host": flags["host"], "port": flags["port"], "access": path / name})


def test_who_may_and_the_way_in_are_what_the_control_plane_takes(
    rendered: Callable[..., list[Object]], tmp_path: Path
) -> None:
    things = rendered(*BEHIND)
    for each in things:
        valid(each)
    settings = settings_of(things, tmp_path)
    assert settings.host == "0.0.0.0"
    assert check_listening(settings) == ""
    found = access_config.read(tmp_path / "access.toml", {"CAVECAST_OIDC_SECRET": "s"})
    assert set(found.projects) == {"rivers", "teaching"}
    template = one(things, "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"]["cavecast/access"]
    other = rendered(*BEHIND, "--set-string", "access.config=[projects.storms]")
    before, after = (one(each, "Deployment")["spec"]["template"]["metadata"] for each in (things, other))
    assert before["annotations"] != after["annotations"], "who may is read at the start, so pods are started again"
    (container,) = template["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http", "scheme": "HTTP"}
    (let_in,) = one(things, "NetworkPolicy")["spec"]["ingress"]
    assert let_in == {"ports": [{"port": "http", "protocol": "TCP"}]}


def test_a_control_plane_as_the_chart_has_it_lets_probes_and_prometheus_in_and_nobody_else(
    rendered: Callable[..., list[Object]], tmp_path: Path
) -> None:
    token = "cavecast_" + "7" * 64
    said = f"""
[[tokens]]
name = "prometheus"
sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"
role = "metrics"
"""
    things = rendered(*BEHIND, "--set-json", f"access.config={json.dumps(said)}")
    settings = settings_of(things, tmp_path)
    access, public, proxies = (str(one) for one in (settings.access, settings.public_url, settings.trusted_proxies))
    with control_plane(
        CAVECAST_ACCESS=access, CAVECAST_PUBLIC_URL=public, CAVECAST_TRUSTED_PROXIES=proxies
    ) as (client, _):  # fmt: skip
        by_address = {"host": "10.1.2.3:8750"}
        assert client.get("/healthz", headers=by_address).status_code == 200
        assert client.get("/metrics", headers=by_address).status_code == 401
        scraped = client.get("/metrics", headers={**by_address, "authorization": f"Bearer {token}"})
        assert (scraped.status_code, "cavecast_" in scraped.text) == (200, True)
        assert client.get("/api/v1/runs", headers={"host": "cavecast.example.org"}).status_code == 401


def test_tls_may_be_done_in_the_pod_and_the_file_may_be_a_secret_of_ones_own(
    rendered: Callable[..., list[Object]],
) -> None:
    things = rendered(
        "--set", "access.enabled=true,access.existingSecret=who-may,access.tlsSecret=certificate",
        "--set", "access.publicUrl=https://cavecast.example.org:8443,access.serviceMonitor.enabled=true",
        "--set", "access.serviceMonitor.token.existingSecret=scrape",
    )  # fmt: skip
    for each in things:
        valid(each)
    assert not [each for each in things if each["kind"] == "Secret"]
    pod = one(things, "Deployment")["spec"]["template"]["spec"]
    assert {"name": "access", "secret": {"secretName": "who-may", "defaultMode": 0o440}} in pod["volumes"]
    assert {"name": "tls", "secret": {"secretName": "certificate", "defaultMode": 0o440}} in pod["volumes"]
    assert pod["containers"][0]["startupProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert one(things, "ServiceMonitor")["spec"]["endpoints"] == [{
        "port": "http", "path": "/metrics", "interval": "15s", "scheme": "https",
        "tlsConfig": {"serverName": "cavecast.example.org"},
        "authorization": {"credentials": {"name": "scrape", "key": "token"}},
    }]  # fmt: skip


def test_the_way_in_finds_the_one_that_leads(rendered: Callable[..., list[Object]]) -> None:
    way = "access.ingress.enabled=true,access.serviceMonitor.enabled=true"
    things = rendered("--values", CHART / "values-postgresql.yaml", *BEHIND, "--set", way)
    for each in things:
        valid(each)
    ingress = one(things, "Ingress")["metadata"]["annotations"]
    assert ingress["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert one(things, "Service")["spec"]["selector"][LEADS_LABEL] == "true"
    assert LEADS_LABEL not in one(things, "Deployment")["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize(("given", "sentence"), [
    (("--set", "access.enabled=true"), "access.enabled takes one of access.config and access.existingSecret"),
    ((*BEHIND, "--set", "access.existingSecret=x"), "takes one of access.config and access.existingSecret"),
    ((*BEHIND, "--set", "access.publicUrl="), "access.publicUrl is missing"),
    (LET_IN, "access takes access.tlsSecret, or access.trustedProxies"),
])  # fmt: skip
def test_a_way_in_that_would_not_be_safe_is_refused(given: tuple[str, ...], sentence: str, helm: Tool) -> None:
    assert sentence in helm("template", "cavecast", CHART, *given, fails=True)


@pytest.mark.parametrize(("setting", "sentence"), [
    ("runs.maxRuns=0", "at '/runs/maxRuns': minimum: got 0, want 1"),
    ("launcher=slurm", "at '/launcher': value must be one of 'local', 'kubernetes'"),
    ("user=0", "at '/user': minimum: got 0, want 1"),
    ("runs.durability=always", "at '/runs/durability': value must be one of 'written', 'group', 'each'"),
    ("resources.limits.cpu=much", "at '/resources/limits/cpu': 'much' does not match pattern"),
    ("image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
    ("storage.accessModes={ReadOnlyMany}", "at '/storage/accessModes/0': value must be one of"),
    ("replicas=two", "at '/replicas': got string, want integer"),
    ("networkPolicy.data[0].port=443", "at '/networkPolicy/data/0': missing property 'cidr'"),
])  # fmt: skip
def test_a_wrong_value_is_refused_in_words(setting: str, sentence: str, helm: Tool) -> None:
    assert sentence in helm("template", "cavecast", CHART, "--set", setting, fails=True)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(values: Any, schema: Any, place: str) -> None:
        properties = schema.get("properties")
        if properties is None:
            return
        assert set(properties) - {"global"} == set(values), place
        assert schema["additionalProperties"] is False, place
        for key, value in values.items():
            compare(value, properties[key], f"{place}.{key}")

    compare(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "values")


def test_what_a_site_decides_passes_through_the_chart(rendered: Callable[..., list[Object]]) -> None:
    things = rendered(
        "--set", "podAnnotations.k8s\\.v1\\.cni\\.cncf\\.io/networks=fast",
        "--set", "runtimeClassName=nvidia,priorityClassName=high,imagePullSecrets[0].name=registry,user=null",
        "--set", "image.digest=sha256:" + "0" * 64, "--set", "nodeSelector.pool=science",
        "--set", "serviceAccount.create=false,storage.existingClaim=mine,env.AWS_REGION=us-west-2",
        name="a-release-with-quite-a-long-name-that-goes-on-and-on",
    )  # fmt: skip
    for each in things:
        valid(each)
    template = one(things, "Deployment")["spec"]["template"]
    spec = template["spec"]
    assert template["metadata"]["annotations"] == {"k8s.v1.cni.cncf.io/networks": "fast"}
    assert (spec["runtimeClassName"], spec["priorityClassName"], spec["nodeSelector"]) == (
        "nvidia",
        "high",
        {"pool": "science"},
    )
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert "runAsUser" not in spec["securityContext"]
    assert spec["serviceAccountName"] == "default"
    assert {"name": "runs", "persistentVolumeClaim": {"claimName": "mine"}} in spec["volumes"]
    assert spec["containers"][0]["image"] == "cavecast-control@sha256:" + "0" * 64
    assert not [each for each in things if each["kind"] in ("PersistentVolumeClaim", "ServiceAccount")]


# ------------------------------------------------------------ kustomize, the example


def test_the_kustomize_base_is_the_chart_with_its_own_values(helm: Tool) -> None:
    out = helm("template", "cavecast", CHART, "--namespace", "cavecast")
    base = (ROOT / "k8s" / "kustomize" / "base" / "cavecast.yaml").read_text()
    assert base == out, "make it again as k8s/kustomize/base/kustomization.yaml says"


def test_the_overlay_is_valid_and_has_the_sites_image_and_data(tools: Path, tmp_path: Path) -> None:
    overlay = ROOT / "k8s" / "kustomize" / "overlays" / "example"
    done = called(tools / "kubectl" / "kubectl", "kustomize", overlay, home=tmp_path)
    assert done.returncode == 0, done.stderr
    things = list(yaml.safe_load_all(done.stdout))
    for each in things:
        valid(each)
    template = one(things, "Deployment")["spec"]["template"]
    assert violations(template) == []
    (container,) = template["spec"]["containers"]
    assert container["image"] == "registry.example.org/science/cavecast-control:0.1.0"
    assert "/data" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert one(things, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("path", sorted((ROOT / "k8s" / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_valid(path: Path) -> None:
    things = list(yaml.safe_load_all(path.read_text()))
    assert things
    for each in things:
        valid(each)


# ------------------------------------------------------------ dashboard and alerts


def documented() -> set[str]:
    """The metrics that docs/metrics.md and docs/http.md name, and what Prometheus makes of histograms."""
    text = (ROOT / "docs" / "metrics.md").read_text() + (ROOT / "docs" / "http.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `cavecast_")]
    names = {line.split("`")[1] for line in rows}
    histograms = {line.split("`")[1] for line in rows if "Histogram:" in line}
    return names | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def board() -> Any:
    return json.loads((CHART / "files" / "dashboard.json").read_text())


def queries() -> dict[str, str]:
    """All PromQL of the dashboard and of the alerts, by where it stands."""
    found = {}
    for panel in board()["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["query"]
    for group in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]:
        found.update({rule["alert"]: rule["expr"] for rule in group["rules"]})
    return found


@pytest.mark.parametrize("place", queries())
def test_a_query_uses_metrics_that_are_documented_as_their_kind_allows(place: str) -> None:
    query = queries()[place]
    used = set(re.findall(r"\bcavecast_\w+", query))
    assert used, query
    assert used <= documented(), used - documented()
    for name, around in ((name, query[: query.index(name)]) for name in used):
        counter = name.endswith(("_total", "_bucket"))
        # A counter says something only by how it grows, and only a counter grows so.
        assert bool(re.search(r"\b(rate|increase)\($", around)) == counter, f"{place}: {name}"
    assert all(query.count(a) == query.count(b) for a, b in ("()", "{}", "[]"))
    labels = set(re.findall(r"[{,](\w+)=~?\"", query)) | set(
        ",".join(re.findall(r"by \(([^)]*)\)", query)).replace(" ", "").split(",")
    )
    assert labels - {""} <= {"run", "state", "role", "relay", "subscriber", "reason", "le", "wall"}


def test_the_dashboards_panels_lie_side_by_side_and_have_numbers_of_their_own() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_says_what_it_is_and_what_it_means() -> None:
    for group in yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert {"summary", "description"} == set(rule["annotations"])


# ------------------------------------------------------------ images


@pytest.mark.parametrize("role", ["control", "worker", "renderer"])
def test_an_image_has_a_base_to_choose_no_root_and_only_what_its_role_needs(role: str) -> None:
    text = (ROOT / "k8s" / "images" / f"{role}.Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0].startswith("ARG BASE=")
    assert [line for line in lines if line.startswith("FROM ")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    assert lines.index(users[0]) < lines.index('ENTRYPOINT ["cavecast"]')
    (extras,) = [line.removeprefix("ARG EXTRAS=").split(",") for line in lines if line.startswith("ARG EXTRAS=")]
    there = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) <= set(there)
    assert ("render" in extras) == (role != "worker")
    assert bool({"worker", "gpu"} & set(extras)) == (role == "worker")
    wanted = re.findall(r"constraint (\S+)", text)
    assert wanted == ["constraints.txt"]
    assert (ROOT / wanted[0]).is_file()


def test_a_pods_user_is_the_images() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["user"] == 10001
    assert resources("the chart", Needs(**values["resources"]), Gpu())
