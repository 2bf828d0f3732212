"""The manifests for Kubernetes: what they run, and that the operator's types take them."""

import re

import pytest
import yaml

from dedup_lib import cli
from dedup_lib.redaction import SPARK_PATTERN
from tests.support.documents import documents_text
from tests.support.paths import ROOT
from tests.support.processes.runs import properties

FOLDER = ROOT / "conf/kubernetes"
ONCE = yaml.safe_load((FOLDER / "spark-application.yaml").read_text())
SCHEDULED = yaml.safe_load((FOLDER / "scheduled-spark-application.yaml").read_text())
SPECS = {"once": ONCE["spec"], "scheduled": SCHEDULED["spec"]["template"]}
RBAC = {item["kind"]: item for item in yaml.safe_load_all((FOLDER / "rbac.yaml").read_text())}
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def cpu_conf():
    return properties(ROOT / "conf/spark/cpu.conf")


@each_spec
def test_the_arguments_are_flags_and_a_valid_run(spec):
    settings = cli.parse(spec["arguments"])
    assert (settings.images, settings.output) == ("/data/images/", "/data/unique/")


@each_spec
def test_the_retries_of_a_run_have_its_name_as_run_key(spec):
    """Kubernetes puts the variable in; the operator labels the driver of each try the same."""
    assert cli.parse(spec["arguments"]).run_key == "$(RUN_KEY)"
    (variable,) = spec["driver"]["env"]
    path = "metadata.labels['sparkoperator.k8s.io/app-name']"
    assert variable == {"name": "RUN_KEY", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    assert spec["restartPolicy"]["type"] == "OnFailure"
    assert spec["restartPolicy"]["onFailureRetries"] == 2
    assert spec["restartPolicy"]["onFailureRetryInterval"] > 600  # a dead run's lock counts so long


@each_spec
@pytest.mark.parametrize("role", ["driver", "executor"])
def test_nothing_runs_as_root(spec, role):
    for key in ("podSecurityContext", "securityContext"):
        assert spec[role][key]["runAsNonRoot"] is True
        assert spec[role][key]["runAsUser"] == 185
    assert spec[role]["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec[role]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec[role]["podSecurityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@each_spec
def test_spark_is_set_as_by_cpu_conf(spec):
    expected = cpu_conf()
    assert spec["memoryOverheadFactor"] == expected.pop("spark.executor.memoryOverheadFactor")
    assert spec["driver"]["memory"] == expected.pop("spark.driver.memory")
    del expected["spark.yarn.maxAppAttempts"]
    expected["spark.redaction.string.regex"] = SPARK_PATTERN  # a properties file has more escapes
    expected["spark.redaction.regex"] = expected["spark.redaction.regex"].replace("\\\\", "\\")
    assert spec["sparkConf"] == expected


def test_scheduled_runs_come_one_at_a_time():
    assert SCHEDULED["spec"]["concurrencyPolicy"] == "Forbid"
    assert SCHEDULED["spec"]["suspend"] is True
    assert {**SPECS["scheduled"], "arguments": []} == {**SPECS["once"], "arguments": []}


def test_a_driver_may_do_what_it_needs_in_its_namespace_alone():
    assert set(RBAC) == {"ServiceAccount", "Role", "RoleBinding"}
    assert {item["metadata"]["namespace"] for item in [*RBAC.values(), ONCE, SCHEDULED]} == {
        "images"
    }
    (rule,) = RBAC["Role"]["rules"]
    assert "secrets" not in rule["resources"]
    assert "*" not in rule["resources"] + rule["verbs"]
    account = RBAC["ServiceAccount"]["metadata"]["name"]
    assert [subject["name"] for subject in RBAC["RoleBinding"]["subjects"]] == [account]
    assert {spec["driver"]["serviceAccount"] for spec in SPECS.values()} == {account}


def test_the_image_is_made_by_the_commands_of_the_docs():
    docs = documents_text()
    assert "RUN make setup\n" in DOCKERFILE
    assert "make setup" in docs
    assert "docker build --file conf/kubernetes/Dockerfile" in docs
    assert "pip install" not in DOCKERFILE  # what the lock files don't pin
    assert DOCKERFILE.rstrip().splitlines()[-2] == "USER 185:185"


@each_spec
def test_the_image_has_what_the_manifests_name(spec):
    (place,) = re.findall(r"^WORKDIR (/opt/remove-duplicates)$", DOCKERFILE, re.MULTILINE)
    script = spec["mainApplicationFile"].removeprefix(f"local://{place}/")
    assert (ROOT / script).is_file()
    (tag,) = re.findall(r"--tag (\S+)", DOCKERFILE)
    assert spec["image"] == tag
    assert f"FROM apache/spark:{spec['sparkVersion']} AS spark" in DOCKERFILE
    assert f"pyspark=={spec['sparkVersion']} " in (ROOT / "requirements.lock").read_text()


def test_what_make_setup_needs_goes_into_the_image():
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    kept = {line.removeprefix("!") for line in lines[1:]}
    (needs,) = re.findall(r"^\$\(READY\): (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {name.partition("/")[0] for name in needs.split()} <= kept
    assert {"Makefile", "dedup_lib", "jobs", "README.md", "LICENSE"} <= kept
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.parametrize(
    ("kind", "manifest"), [("SparkApplication", ONCE), ("ScheduledSparkApplication", SCHEDULED)]
)
def test_the_operator_takes_the_manifests_as_they_are(kind, manifest):
    """Its types leave out what they don't know: so nothing may be missing afterwards."""
    models = pytest.importorskip(
        "kubeflow_spark_api.models", reason="kubeflow-spark-api isn't installed"
    )
    model = getattr(models, f"SparkV1beta2{kind}")
    assert manifest["kind"] == kind
    assert model.from_dict(manifest).to_dict() == manifest
    changed = {**manifest, "spec": {**manifest["spec"], "concurencyPolicy": "Forbid"}}
    assert model.from_dict(changed).to_dict() == manifest
