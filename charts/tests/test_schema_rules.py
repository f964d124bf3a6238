"""Every rule of every values.schema.json refuses something, with a message that names the value.

fixtures/<chart>.yaml has an entry for each rule: an environment, values that break it, and what helm says. A new rule
gets its entry by UPDATE_FIXTURES=1, which is then to be read like any other code.
"""

import json
import os

import pytest
import yaml
from checking import charts, schema
from checking.charts import TESTS, Case


def fixtures(chart):
    path = TESTS / "fixtures" / f"{chart}.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else []


def refusal(chart, environment, values):
    """Return the lines in which helm says what is wrong with the values; nothing where it takes them."""
    file = charts.work_folder() / "values" / f"{chart}-{os.getpid()}.json"
    file.write_text(json.dumps(values))
    done = charts.helm("template", *charts.arguments(Case(chart, environment)), "--values", str(file))
    return [line.strip().removeprefix("- ") for line in done.stderr.splitlines() if line] if done.returncode else []


def test_helm_refuses_every_fixture_in_the_expected_words(chart):
    unsaid = []
    for environment, batch in batches(fixtures(chart)):
        values = {}
        for item in batch:
            values = schema.merged_keeping_null(values, item["values"])
        lines = refusal(chart, environment, values)
        unsaid += [item for item in batch if item["message"] not in lines]
    # helm does not come to the conditions where plain rules are broken already: those have to be asked alone.
    alone = [item for item in unsaid if item["message"] not in refusal(chart, item["environment"], item["values"])]
    assert not alone, "\n".join(f"{item['rule']}: {item['message']}" for item in alone)


def batches(items):
    """Yield (environment, fixtures) that break different values, so that one run of helm names them all.

    Alone is what helm answers in other words: it stops at that.
    """
    open_batches = []
    for item in items:
        paths = set(leaves(item["values"]))
        if not item["message"].startswith("at '/"):
            yield item["environment"], [item]
            continue
        for environment, taken, batch in open_batches:
            if environment == item["environment"] and not any(touch(a, b) for a in paths for b in taken):
                taken.update(paths)
                batch.append(item)
                break
        else:
            open_batches.append((item["environment"], paths, [item]))
    yield from ((environment, batch) for environment, _, batch in open_batches)


def leaves(node, path=()):
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def touch(one, other):
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def test_every_rule_has_a_fixture(chart):
    if os.environ.get("UPDATE_FIXTURES"):
        update(chart)
    covered = set()
    for item in fixtures(chart):
        covered |= schema.broken(chart, item["environment"], item["values"])
    missing = [rule.name for place, rule in schema.rules(chart).items() if place not in covered]
    assert missing == [], "UPDATE_FIXTURES=1 make charts-check writes fixtures for new rules"


def test_fixtures_break_the_rule_they_name(chart):
    wrong = [
        item["rule"]
        for item in fixtures(chart)
        if item["rule"]
        not in {"/".join(map(str, place)) for place in schema.broken(chart, item["environment"], item["values"])}
    ]
    assert wrong == []


def test_every_environment_is_all_right_as_it_is(chart, environment):
    assert schema.broken(chart, environment, {}) == set()


@pytest.mark.parametrize("path", ["", "global"])
def test_a_parent_chart_may_say_more(chart, path):
    """`global` belongs to whoever includes the chart, and `enabled` to its condition."""
    values = {"global": {"somebodyElses": 1}} if path else {"enabled": True}
    assert refusal(chart, "staging", values) == []


def update(chart):
    """Write a fixture for each rule that has none, and forget those whose rule has gone."""
    rules = {rule.name: rule for rule in schema.rules(chart).values()}
    known = {item["rule"]: item for item in fixtures(chart) if item["rule"] in rules}
    for name, rule in rules.items():
        if name not in known:
            found = new_fixture(chart, rule)
            if found:
                known[name] = found
            else:
                known.pop(name, None)
    comment = "# A value that each rule of values.schema.json refuses, and helm's words; see test_schema_rules.py.\n"
    text = yaml.safe_dump([known[name] for name in sorted(known)], sort_keys=False, width=200, allow_unicode=True)
    (TESTS / "fixtures" / f"{chart}.yaml").write_text(comment + text)


def new_fixture(chart, rule):
    at = "at '/" + "/".join(map(str, rule.where)) + "'" if rule.where else "at ''"
    name = rule.where[-1] if rule.where else ""
    for environment, values in schema.breaking(rule, chart):
        if rule.place in schema.broken(chart, environment, values):
            lines = refusal(chart, environment, values)
            fitting = [line for line in lines if line.startswith(at)] or [line for line in lines if str(name) in line]
            if fitting:
                return {"rule": rule.name, "environment": environment, "values": values, "message": fitting[0]}
    return None
