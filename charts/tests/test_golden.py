"""What can never change once it is deployed: the server refuses another selector, claim template or serviceName.

golden/<chart>.yaml holds what was decided. UPDATE_GOLDEN=1 writes it anew: right before anybody runs the chart, and
afterwards means a release that every user has to delete first.
"""

import os

import yaml
from checking import charts
from checking.charts import ENVIRONMENTS, TESTS, Case
from checking.manifests import name_of, of_kind


def immutable(documents):
    found = {}
    for item in of_kind(documents, "Deployment"):
        found[name_of(item)] = {"selector": item["spec"]["selector"]}
    for item in of_kind(documents, "StatefulSet"):
        claims = [
            {"name": claim["metadata"]["name"], **claim["spec"]} for claim in item["spec"]["volumeClaimTemplates"]
        ]
        labels = [claim["metadata"].get("labels") for claim in item["spec"]["volumeClaimTemplates"]]
        found[name_of(item)] = {
            "selector": item["spec"]["selector"],
            "serviceName": item["spec"]["serviceName"],
            "podManagementPolicy": item["spec"].get("podManagementPolicy", "OrderedReady"),
            "volumeClaimTemplates": claims,
            "claimLabels": labels,
        }
    for item in of_kind(documents, "Service"):
        # A headless Service cannot become another one, and selectors move all traffic.
        found[name_of(item)] = {"selector": item["spec"].get("selector"), "clusterIP": item["spec"].get("clusterIP")}
    return found


def test_what_cannot_change_has_not(chart):
    path = TESTS / "golden" / f"{chart}.yaml"
    rendered = {environment: immutable(charts.documents(Case(chart, environment))) for environment in ENVIRONMENTS}
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(
            "# Written by UPDATE_GOLDEN=1 make charts-check; see test_golden.py first.\n" + yaml.safe_dump(rendered)
        )
    assert path.exists(), f"no {path.name} yet: UPDATE_GOLDEN=1 make charts-check"
    assert rendered == yaml.safe_load(path.read_text())


def test_claims_carry_no_version():
    """Labels of a claim template cannot change, so a chart's version among them would end its upgrades."""
    for chart in charts.CHARTS:
        for item in of_kind(charts.documents(Case(chart, "production")), "StatefulSet"):
            for claim in item["spec"]["volumeClaimTemplates"]:
                labels = claim["metadata"].get("labels") or {}
                assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels), name_of(item)
