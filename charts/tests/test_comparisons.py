"""What a schema cannot say, because it compares two values, and what null does; refused before anything is applied."""

import json
import os

import pytest
from checking import charts
from checking.charts import Case


@pytest.mark.parametrize(
    ("release", "values", "message"),
    [
        ("auth", {"autoscaling": {"minReplicas": 9}}, "autoscaling.minReplicas (9)"),
        ("auth", {"rollout": {"minReadySeconds": 300}}, "rollout.minReadySeconds (300)"),
        ("worker", {"dispatcher": {"rollout": {"minReadySeconds": 300}}}, "rollout.minReadySeconds (300)"),
        ("auth", {"podDisruptionBudget": {"maxUnavailable": 2}}, "podDisruptionBudget.maxUnavailable (2)"),
        (
            "worker",
            {"worker": {"podDisruptionBudget": {"maxUnavailable": 2}}},
            "podDisruptionBudget.maxUnavailable (2)",
        ),
        ("api", {"migration": {"waitSeconds": 240}}, "migration.waitSeconds (240)"),
    ],
)
def test_a_number_at_its_limit_is_refused(release, values, message):
    assert message in rendering(release, values).stderr


@pytest.mark.parametrize(
    ("release", "values"),
    [
        ("auth", {"autoscaling": {"minReplicas": 6}}),
        ("auth", {"rollout": {"minReadySeconds": 299}}),
        ("worker", {"worker": {"replicas": 3, "podDisruptionBudget": {"maxUnavailable": 2}}}),
        ("api", {"migration": {"waitSeconds": 239}}),
    ],
)
def test_the_last_number_below_it_is_taken(release, values):
    assert rendering(release, values).returncode == 0


@pytest.mark.parametrize("name", ["env", "extraEnvFrom", "podAnnotations", "nodeSelector", "tolerations", "affinity"])
def test_null_empties_what_may_be_empty(name):
    assert rendering("auth", {name: None}).stderr == ""


def rendering(release, values):
    file = charts.work_folder() / "values" / f"{release}-{os.getpid()}-compared.json"
    file.write_text(json.dumps(values))
    return charts.helm("template", *charts.arguments(Case(release, "production")), "--values", str(file))
