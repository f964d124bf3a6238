"""Every invariant, for every chart, in every environment and variant."""

from collections import defaultdict

import pytest
from checking import charts, invariants
from checking.invariants import Release


@pytest.mark.parametrize("invariant", invariants.ALL, ids=lambda function: function.__name__)
def test_holds(chart, invariant):
    found = defaultdict(list)
    for case in charts.cases_of(chart):
        for problem in invariant(Release(case.chart, case.environment, charts.documents(case))):
            found[problem].append(f"{case.environment}-{case.variant}")
    assert not found, "\n".join(f"{problem} ({', '.join(where)})" for problem, where in sorted(found.items()))
