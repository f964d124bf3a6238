"""What can be chosen for a local run, and how a wrong choice is answered."""

import pytest
from devtools.run.settings import Ports, read_settings
from devtools.say import Stop


def test_without_choices_the_ports_are_those_of_the_documentation():
    settings = read_settings({})
    assert settings.ports == Ports(8001, 8002, 9101, 9102, 9103, 9104, 8003)
    assert (settings.engine, settings.with_tour) == ("sqlite", True)


def test_choices_are_read_from_variables_and_empty_ones_do_not_count():
    settings = read_settings({"API_PORT": "9002", "AUTH_PORT": "", "DB": "mysql", "TOUR": "0"})
    assert settings.ports == Ports(api_port=9002)
    assert (settings.engine, settings.with_tour) == ("mysql", False)


@pytest.mark.parametrize("text", ["http", "-1", "80", "65536", "8001.5", "٨٠٠١"])
def test_what_is_no_port_is_refused_with_its_variable(text):
    with pytest.raises(Stop, match=f"API_PORT={text} is no port.*make run API_PORT=8002"):
        read_settings({"API_PORT": text})


def test_an_unknown_database_is_refused_with_the_known_ones():
    with pytest.raises(Stop, match=r"DB=postgres is unknown.*DB=sqlite.*DB=mysql"):
        read_settings({"DB": "postgres"})
