"""The manifests fit the API, one another, and what keyturn serves and reads; no cluster is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from keyturn import settings
from keyturn.clients import console as console_client
from keyturn.console import premises, signals
from tests.deployments.shapes_of import DEPLOYMENTS, read_yaml, strangers

FOLDER = DEPLOYMENTS / "kubernetes"
KUSTOMIZATIONS = sorted(FOLDER.rglob("kustomization.yaml"))
README = (FOLDER / "README.md").read_text()
OLDEST = "1.32"  # whose schemas the manifests have to fit


@dataclass(frozen=True)
class Pod:
    """What a workload makes."""

    name: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def container(self) -> dict[str, Any]:
        """Its one container."""
        (only,) = self.spec["containers"]
        return dict(only)

    @property
    def all_containers(self) -> list[dict[str, Any]]:
        """Also those that run before it."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """By name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", ())}


def resources(kustomization: Path) -> list[dict[str, Any]]:
    """All objects of one, in its namespace."""
    (told,) = read_yaml(kustomization)
    found = [document for name in told["resources"] for document in read_yaml(kustomization.parent / name)]
    for document in found:
        document["metadata"].setdefault("namespace", told.get("namespace"))
    return found


def template() -> dict[str, Any]:
    """The base job template of the Kubernetes work pool."""
    loaded: dict[str, Any] = json.loads((FOLDER / "pool" / "base-job-template.json").read_text())
    return loaded


def rendered() -> dict[str, Any]:
    """The Job that Prefect makes of the template with its defaults; what has none is left out, as Prefect does."""
    defaults = {name: told.get("default") for name, told in template()["variables"]["properties"].items()}
    defaults |= {"name": "a-run", "command": ["prefect", "flow-run", "execute"], "labels": {}, "env": []}

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: new for key, old in value.items() if (new := put(old)) is not None}
        if isinstance(value, list):
            return [put(part) for part in value]
        if isinstance(value, str) and (whole := re.fullmatch(r"\{\{ (\w+) \}\}", value)):
            return defaults[whole[1]]
        return re.sub(r"\{\{ (\w+) \}\}", lambda m: str(defaults[m[1]]), value) if isinstance(value, str) else value

    job: dict[str, Any] = put(template()["job_configuration"]["job_manifest"])
    return job


OBJECTS = [document for file in KUSTOMIZATIONS for document in resources(file)]
LITTLE = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
KINDS = {"Deployment", "Job"}
ROLES = {"keyturn-worker": "keyturn-worker", "keyturn-console": "keyturn-console", "run": "keyturn-worker"}


def pods() -> Iterator[Pod]:
    """Of every workload, and of the Kubernetes work pool."""
    for made in (*(o for o in OBJECTS if o["kind"] in KINDS), rendered()):
        pod = made["spec"]["template"]
        yield Pod(made["metadata"].get("name", "run"), pod["metadata"]["labels"], pod["spec"])


PODS = list(pods())
each_pod = pytest.mark.parametrize("pod", PODS, ids=lambda pod: pod.name)


def named(kind: str) -> dict[str, dict[str, Any]]:
    """Objects of a kind, by name."""
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind}


def chosen(selector: dict[str, Any]) -> list[Pod]:
    """The pods that a label selector is about."""

    def fits(pod: Pod) -> bool:
        wanted = selector.get("matchLabels", {}).items() <= pod.labels.items()
        return wanted and all(
            pod.labels.get(e["key"]) in e["values"] and e["operator"] == "In"
            for e in selector.get("matchExpressions", ())
        )

    return [pod for pod in PODS if fits(pod)]


def variables(pod: Pod) -> dict[str, str]:
    """What the container finds in its environment, but for what comes from Secrets."""
    found: dict[str, str] = {}
    for source in pod.container.get("envFrom", ()):
        if "configMapRef" in source:
            found |= named("ConfigMap")[source["configMapRef"]["name"]]["data"]
    for one in pod.container.get("env", ()):
        from_map = one.get("valueFrom", {}).get("configMapKeyRef")
        found[one["name"]] = named("ConfigMap")[from_map["name"]]["data"][from_map["key"]] if from_map else one["value"]
    return found


@pytest.mark.parametrize("file", [*FOLDER.rglob("*.yaml")], ids=lambda file: str(file.relative_to(FOLDER)))
def test_each_file_is_applied(file: Path) -> None:
    """By a kustomization, or as values of a chart: none lies there forgotten."""
    told = [k.parent / name for k in KUSTOMIZATIONS for name in read_yaml(k)[0]["resources"]]
    assert file in told or file in KUSTOMIZATIONS or file.parent.name == "helm"
    assert all(path.is_file() for path in told)


@pytest.mark.parametrize(
    "made", [*OBJECTS, rendered()], ids=lambda o: f"{o['kind']}-{o['metadata'].get('name', 'run')}"
)
def test_each_object_fits_the_api(made: dict[str, Any]) -> None:
    """With no field that the oldest supported version does not know."""
    kubernetes_validate.validate(made, OLDEST, strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    """What the test above looks with can tell."""
    wrong = json.loads(json.dumps(named("Deployment")["keyturn-worker"]).replace("readOnlyRootFilesystem", "readOnly"))
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_names_are_given_once() -> None:
    """Two objects of one name would overwrite each other without a word."""
    names = [(o["kind"], o["metadata"]["namespace"], o["metadata"]["name"]) for o in OBJECTS]
    assert len(set(names)) == len(names)


@each_pod
def test_each_pod_can_do_little(pod: Pod) -> None:
    """What the level `restricted` demands, a read-only file system, a limit, and no token of the cluster."""
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod.all_containers:
        assert container["securityContext"] == LITTLE
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
    account = named("ServiceAccount")[pod.spec["serviceAccountName"]]
    assert account["automountServiceAccountToken"] is False


@each_pod
def test_what_is_mounted_is_there(pod: Pod) -> None:
    """Mounts have volumes and volumes mounts; Secrets and ConfigMaps are ours, or the README makes them."""
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    assert {mount["name"] for mount in pod.container["volumeMounts"]} == volumes.keys()
    sources = pod.container.get("envFrom", ())
    secrets = {v["secret"]["secretName"] for v in volumes.values() if "secret" in v}
    secrets |= {source["secretRef"]["name"] for source in sources if "secretRef" in source}
    maps = {v["configMap"]["name"] for v in volumes.values() if "configMap" in v}
    maps |= {source["configMapRef"]["name"] for source in sources if "configMapRef" in source}
    assert [name for name in secrets if not re.search(rf"create secret \w+ {name} ", README)] == []
    assert [name for name in maps - named("ConfigMap").keys() if f"create configmap {name} " not in README] == []


@each_pod
def test_each_variable_is_a_setting(pod: Pod) -> None:
    """A misspelt one would be passed over by Prefect, and would keep keyturn from starting."""
    told = variables(pod)
    assert told
    assert strangers(set(told)) == set()


@each_pod
def test_services_put_no_variables_into_a_pod(pod: Pod) -> None:
    """The cluster would add some for each service, and keyturn refuses one of its own that it does not know."""
    assert pod.spec["enableServiceLinks"] is False
    (service,) = named("Service")
    links = {f"{service.upper().replace('-', '_')}_{name}" for name in ("PORT", "SERVICE_HOST", "SERVICE_PORT_HTTP")}
    assert strangers(links) == links


@each_pod
def test_paths_in_settings_are_mounted(pod: Pod) -> None:
    """Each file that a setting names lies below something that the pod has mounted."""
    mounts = [mount["mountPath"] for mount in pod.container["volumeMounts"]]
    paths = {n: v for n, v in variables(pod).items() if n.startswith("KEYTURN_") and v.startswith("/")}
    assert [n for n, path in paths.items() if not any(f"{path}/".startswith(f"{m}/") for m in mounts)] == []


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_pods_sign_in_to_vault_as_themselves(tmp_path: Path, name: str, role: str) -> None:
    """By the account, role and audience that deployments/vault/README.md sets up, with the token that is mounted."""
    (pod,) = (pod for pod in PODS if pod.name == name)
    (tmp_path / "keyturn.toml").write_text('[ledger]\nurl = "postgresql://keyturn:x@db/keyturn"\n')
    told = {n: v for n, v in variables(pod).items() if n.startswith("KEYTURN_")}
    loaded = settings.load(told | {"KEYTURN_CONFIG": str(tmp_path / "keyturn.toml"), "KEYTURN_VAULT__CA_FILE": ""})
    (token,) = (v["projected"] for v in pod.spec["volumes"] if "projected" in v)
    (source,) = token["sources"]
    (mount,) = (m["mountPath"] for m in pod.container["volumeMounts"] if m["name"] == "vault-token")
    assert (loaded.vault.auth, loaded.vault.role) == (settings.VaultAuth.KUBERNETES, role)
    assert str(loaded.vault.jwt_file) == f"{mount}/{source['serviceAccountToken']['path']}"
    vault = re.sub(r"\\\n\s+", "", (DEPLOYMENTS / "vault" / "README.md").read_text())
    (command,) = re.findall(rf"^vault write auth/kubernetes/role/{role} .*$", vault, re.MULTILINE)
    assert f"bound_service_account_names={pod.spec['serviceAccountName']} " in command
    assert f"audience={source['serviceAccountToken']['audience']} " in command
    assert f"bound_service_account_namespaces={named('Namespace')['keyturn']['metadata']['name']} " in command
    if "console" in name:
        premises.check_serving(loaded.console)


def test_probes_ask_for_what_is_served() -> None:
    """At a port of the container, and at a path of the console or of Prefect's worker."""
    served = {route.path for route in signals.router.routes}
    for pod in PODS:
        probes = [pod.container[kind]["httpGet"] for kind in pod.container if kind.endswith("Probe")]
        assert probes or pod.name not in {"keyturn-console", "keyturn-worker"}
        for probe in probes:
            assert probe["port"] in pod.ports
            assert probe["path"] in (served if pod.name == "keyturn-console" else {"/health"})
    (worker,) = (pod for pod in PODS if pod.name == "keyturn-worker")
    assert variables(worker)["PREFECT_WORKER_WEBSERVER_PORT"] == str(worker.ports["health"])
    (console,) = (pod for pod in PODS if pod.name == "keyturn-console")
    assert variables(console)["KEYTURN_CONSOLE__PORT"] == str(console.ports["http"])


def test_a_command_from_afar_is_waited_for() -> None:
    """The controller is patient for longer than the command that asks; its own minute would cut a long look short."""
    annotations = named("Ingress")["keyturn-console"]["metadata"]["annotations"]
    patience_s = float(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"])
    assert patience_s > console_client._READ_TIMEOUT_S


def test_selectors_choose_what_they_are_for() -> None:
    """Deployments, budgets and the service find their own pods, and no other's."""
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, made in named(kind).items():
            assert [pod.name for pod in chosen(made["spec"]["selector"])] == [name]
    (service,) = named("Service").values()
    (pod,) = chosen({"matchLabels": service["spec"]["selector"]})
    assert pod.name == "keyturn-console"
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= pod.ports.keys()
    for made in named("Deployment").values():
        for spread in made["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"] == made["spec"]["selector"]["matchLabels"]


def test_a_budget_leaves_somebody() -> None:
    """Where one may be away, there are two or more."""
    for name, budget in named("PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] < named("Deployment")[name]["spec"]["replicas"]
    (scaler,) = named("HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] in named("Deployment")
    assert scaler["spec"]["minReplicas"] >= 2


def test_nobody_may_talk_but_to_whom_they_need() -> None:
    """One policy shuts everything; each other one is about pods that exist, and each pod reaches what it is told of."""
    policies = {
        name: p["spec"] for name, p in named("NetworkPolicy").items() if p["metadata"]["namespace"] == "keyturn"
    }
    shut = policies.pop("nobody")
    assert shut == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    policies.pop("job-maker")  # of the chart's pods
    assert [name for name, policy in policies.items() if not chosen(policy["podSelector"])] == []
    reached = {p.name: {n for n, policy in policies.items() if p in chosen(policy["podSelector"])} for p in PODS}
    everything = {"names", "to-prefect", "to-vault", "to-ledger", "to-vendors"}
    assert reached == {
        "keyturn-console": everything | {"to-console"},
        "keyturn-worker": everything,
        "run": everything,
        "keyturn-ledger-upgrade": {"names", "to-ledger"},
        "keyturn-deployments": {"names", "to-prefect"},
    }


def test_policies_open_the_ports_that_settings_name() -> None:
    """Vault's and Prefect's, in the namespaces that their addresses lead to."""
    told = named("ConfigMap")["keyturn-settings"]["data"]
    for policy, variable in (("to-vault", "KEYTURN_VAULT__ADDR"), ("to-prefect", "PREFECT_API_URL")):
        (rule,) = named("NetworkPolicy")[policy]["spec"]["egress"]
        space = rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        assert re.search(rf"://[\w-]+\.{space}\.svc:{rule['ports'][0]['port']}\b", told[variable])
    (rule,) = named("NetworkPolicy")["to-console"]["spec"]["ingress"]
    (console,) = (pod for pod in PODS if pod.name == "keyturn-console")
    assert [port["port"] for port in rule["ports"]] == [console.ports["http"]]


def test_roles_are_few_and_narrow() -> None:
    """Nothing is allowed to everybody or on everything, and every binding is of a role and an account that exist."""
    for role in (*named("Role").values(), *named("ClusterRole").values()):
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert "secrets" not in rule["resources"]
    assert named("ClusterRole")["keyturn-token-reviewer"]["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    for binding in (*named("RoleBinding").values(), *named("ClusterRoleBinding").values()):
        assert binding["roleRef"]["name"] in named(binding["roleRef"]["kind"])
        for subject in binding["subjects"]:
            account = named("ServiceAccount")[subject["name"]]
            assert account["metadata"]["namespace"] == subject["namespace"]


def test_the_pool_has_the_shape_that_prefect_knows() -> None:
    """Every variable of Prefect's own template is there or left out on purpose, and each that is used is declared."""
    views = files("prefect.server.api") / "collections_data" / "views" / "aggregate-worker-metadata.json"
    stock = json.loads(views.read_text())["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
    ours = template()
    declared = ours["variables"]["properties"].keys()
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(ours["job_configuration"])))
    assert used == declared
    assert stock["variables"]["properties"].keys() - declared == {"cpu_limit"}
    assert ours["job_configuration"].keys() == stock["job_configuration"].keys()
    assert ours["variables"]["definitions"] == stock["variables"]["definitions"]


def test_a_run_in_a_job_of_its_own_is_like_a_worker() -> None:
    """The same file system, settings and rights; it is not started again by the cluster, but by keyturn's watch."""
    (worker,) = (pod for pod in PODS if pod.name == "keyturn-worker")
    (run,) = (pod for pod in PODS if pod.name == "run")
    assert run.spec["volumes"] == worker.spec["volumes"]
    assert run.container["volumeMounts"] == worker.container["volumeMounts"]
    assert run.container["envFrom"] == worker.container["envFrom"]
    assert variables(run)["KEYTURN_VAULT__ROLE"] == variables(worker)["KEYTURN_VAULT__ROLE"]
    assert (rendered()["spec"]["backoffLimit"], run.spec["restartPolicy"]) == (0, "Never")


def test_images_are_what_the_kustomization_replaces() -> None:
    """So that one line names the registry; runs in Jobs say it themselves."""
    (base,) = read_yaml(FOLDER / "kustomization.yaml")
    (image,) = base["images"]
    ours = {container["image"] for pod in PODS if pod.name != "run" for container in pod.all_containers}
    assert ours == {f"{image['name']}:{image['newTag']}"}
    (run,) = (pod for pod in PODS if pod.name == "run")
    assert {container["image"] for container in run.all_containers} == {f"{image['newName']}:{image['newTag']}"}


def test_the_type_of_the_pool_is_said_once() -> None:
    """For the Job that makes it and for the workers that serve it, by the name and with the default of compose."""
    pool_type = named("ConfigMap")["keyturn-settings"]["data"]["POOL_TYPE"]
    assert f"POOL_TYPE: ${{POOL_TYPE:-{pool_type}}}" in (DEPLOYMENTS / "compose" / "compose.yaml").read_text()
    by_name = {pod.name: pod for pod in PODS}
    for name, used in (("keyturn-worker", "--type $(POOL_TYPE)"), ("keyturn-deployments", '--type "$POOL_TYPE"')):
        assert variables(by_name[name])["POOL_TYPE"] == pool_type
        assert used in " ".join(by_name[name].container["command"])


def test_a_pool_is_made_anew_in_order() -> None:
    """Nobody serves the old one any more when it goes, and nothing is overwritten: a pool keeps its type."""
    steps = ("pool pause", "--replicas=0", "pool delete", "pool create", "deploy --all", "helm install keyturn-job")
    places = [README.index(step, README.index("## A Job for each run")) for step in steps]
    assert places == sorted(places)
    assert "--overwrite" not in README


def test_a_worker_is_given_the_time_it_takes() -> None:
    """The cluster kills it only well after it has handed its last run back."""
    (worker,) = (pod for pod in PODS if pod.name == "keyturn-worker")
    assert worker.spec["terminationGracePeriodSeconds"] >= 2 * settings.WorkerSettings().grace_s
