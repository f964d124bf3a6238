"""The account of the caller."""

from functools import partial

from common.access import authenticated, current_principal, user
from common.db import run_write
from common.redprint import Redprint
from common.web.sessions import read_session

from auth_service import use_cases
from auth_service.api.dependencies import current_dependencies
from auth_service.views.users import UserChange, UserView

users = Redprint("users")


@users.get("/me", access=user, response=UserView)
def show_me() -> UserView:
    """Show the caller's account."""
    return UserView.model_validate(use_cases.users.get_user(read_session(), current_principal().user_id))


@users.patch("/me", access=authenticated(revocation="strict"), body=UserChange, response=UserView)
def change_me(body: UserChange) -> UserView:
    """Change the caller's name."""
    user_id = current_principal().user_id
    if "name" not in body.model_fields_set:
        return UserView.model_validate(use_cases.users.get_user(read_session(), user_id))
    deps = current_dependencies()
    rename = partial(use_cases.users.rename_user, user_id=user_id, name=body.name, clock=deps.clock)
    return UserView.model_validate(run_write(deps.database, rename))
