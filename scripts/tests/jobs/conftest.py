"""A plant for the drills of jobs, and a database server that only one of them has."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from common.db import migrate
from common.jwt import SigningKey, jwks_document
from common.testing.tokens import TEST_ISSUER, TokenFor
from common.testing.valkey import ValkeyServer
from devtools.drills.jobs.door import Door
from devtools.drills.jobs.plant import Plant
from devtools.mysql.errors import NoMySQL
from devtools.mysql.find import start
from devtools.mysql.server import OwnServer, url
from devtools.ports import free_port as any_free_port

MakePlant = Callable[[str], Plant]


@pytest.fixture
def make_plant(tmp_path: Path, valkey: ValkeyServer, free_port: Callable[[], int]) -> Iterator[MakePlant]:
    """Makes a plant on a database; it ends with the test."""
    made: list[Plant] = []

    def make(database_url: str) -> Plant:
        made.append(Plant(tmp_path, database_url, valkey, free_port))
        return made[-1]

    yield make
    for plant in made:
        plant.close()


@pytest.fixture
def plant(make_plant: MakePlant, database_url_factory: Callable[[str], str]) -> Plant:
    """A plant on a database of the api."""
    return make_plant(database_url_factory("api_service"))


@pytest.fixture
def open_door(tmp_path: Path, signing_key: SigningKey, token_for: TokenFor) -> Iterator[Callable[[Plant], Door]]:
    """Starts an api for a plant and waits until it is ready."""
    doors: list[Door] = []

    def open_door(plant: Plant) -> Door:
        key_set = tmp_path / "jwks.json"
        key_set.write_text(json.dumps(jwks_document([signing_key])))
        doors.append(Door(plant.add_api(TEST_ISSUER, key_set), token_for(plant.store.owner_id)))
        doors[-1].wait_until_ready()
        return doors[-1]

    yield open_door
    for door in doors:
        door.close()


@pytest.fixture
def door(plant: Plant, open_door: Callable[[Plant], Door]) -> Door:
    """The api of `plant`."""
    return open_door(plant)


@pytest.fixture
def database_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A MySQL server to kill."""
    try:
        server = start(tmp_path / "mysql", any_free_port(), keep=False)
    except NoMySQL as error:
        pytest.skip(str(error))
    if not isinstance(server, OwnServer):
        server.discard()
        pytest.skip("the MySQL here is a container's, which is not ours to kill")
    yield server
    server.discard()


@pytest.fixture
def mortal_plant(make_plant: MakePlant, database_server: OwnServer) -> Plant:
    """A plant whose database can be killed."""
    migrate(url(database_server.port), "api_service")
    return make_plant(url(database_server.port))


@pytest.fixture
def seed() -> int:
    """What is done when follows from it; DRILL_SEED names another."""
    return int(os.environ.get("DRILL_SEED", "6"))
