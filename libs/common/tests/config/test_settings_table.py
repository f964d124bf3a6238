"""The table of variables in the README says what the code does."""

import re
from pathlib import Path

from common.config import DatabaseSettings, StateSettings, WebSettings
from pydantic_core import PydanticUndefined

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`|none) \|", re.MULTILINE)


def test_every_variable_is_listed_with_its_default() -> None:
    listed = {name: default for name, default in ROW.findall(README.read_text()) if name != "SECRETS_DIR"}
    fields = {**WebSettings.model_fields, **DatabaseSettings.model_fields, **StateSettings.model_fields}
    expected = {
        name.upper(): "" if field.default in {PydanticUndefined, None} else str(field.default)
        for name, field in fields.items()
    }
    assert listed == expected
