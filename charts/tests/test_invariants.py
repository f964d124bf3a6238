"""Every invariant, for every chart, environment and variant."""

import pytest
from checking import charts, invariants
from checking.invariants import Release


@pytest.mark.parametrize("invariant", invariants.ALL, ids=lambda function: function.__name__)
def test_holds(case, invariant):
    release = Release(case.chart, case.environment, charts.documents(case))
    problems = list(invariant(release))
    assert not problems, "\n".join(problems)
