"""The account of the caller."""

from common.access import current_principal, user
from common.redprint import Redprint
from common.web.sessions import read_session, write_session

from auth_service import use_cases
from auth_service.api.dependencies import current_dependencies
from auth_service.views.users import UserChange, UserView

users = Redprint("users")


@users.get("/me", access=user, response=UserView)
def show_me() -> UserView:
    """Show the caller's account."""
    return UserView.model_validate(use_cases.users.get_user(read_session(), current_principal().user_id))


@users.patch("/me", access=user, body=UserChange, response=UserView)
def change_me(body: UserChange) -> UserView:
    """Change the caller's name."""
    user_id = current_principal().user_id
    if "name" not in body.model_fields_set:
        return UserView.model_validate(use_cases.users.get_user(read_session(), user_id))
    clock = current_dependencies().clock
    return UserView.model_validate(use_cases.users.rename_user(write_session(), user_id, body.name, clock))
