"""docs/security.md says of each setting of auth and api what it can do, and names no other."""

import re
from pathlib import Path

from api_service.config import APISettings
from auth_service.config import AuthSettings

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_ROW = re.compile(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", re.MULTILINE)


def test_the_page_names_every_setting_of_auth_and_api_and_no_other() -> None:
    listed = [name for row in _ROW.findall(PAGE.read_text()) for name in re.findall(r"[A-Z_]+", row)]
    fields = AuthSettings.model_fields.keys() | APISettings.model_fields.keys()
    assert len(listed) == len(set(listed))
    assert set(listed) == {field.upper() for field in fields}
