import pytest
from common.access import (
    Access,
    authenticated,
    current_principal,
    current_service,
    public,
    require,
    service_only,
    user,
)
from flask import Flask


def test_the_rules_for_users_differ() -> None:
    assert public == Access(authenticated=False)
    assert user == Access(authenticated=True)
    assert require("a:read", "a:write") == Access(authenticated=True, scopes=frozenset({"a:read", "a:write"}))
    assert require("a:read", audience="auth").audience == "auth"


def test_a_rule_for_services_is_none_for_users() -> None:
    assert service_only() == Access(authenticated=True, service_only=True)
    assert service_only("a:read", audience="auth") == Access(
        authenticated=True, scopes=frozenset({"a:read"}), audience="auth", service_only=True
    )
    assert not any(rule.service_only for rule in (public, user, require("a:read")))


def test_a_rule_goes_on_without_news_of_revocations_unless_it_says_strict() -> None:
    assert {rule.revocation for rule in (public, user, authenticated(), require("a:read"))} == {"bounded"}
    assert authenticated(revocation="strict") == Access(authenticated=True, revocation="strict")
    assert require("a:read", revocation="strict").revocation == "strict"


def test_requiring_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="access=user"):
        require()


@pytest.mark.parametrize("scope", ["read", "A:read", "a:", ":read", "a:read b:read", "a:read:more", 'a:"read"'])
def test_a_malformed_scope_is_refused(scope: str) -> None:
    for rule in (require, service_only):
        with pytest.raises(ValueError, match="resource:action"):
            rule(scope)


def test_nobody_is_known_where_nobody_was_asked() -> None:
    with Flask(__name__).test_request_context(), pytest.raises(RuntimeError, match="this route is public"):
        current_principal()
    with Flask(__name__).test_request_context(), pytest.raises(RuntimeError, match="service_only"):
        current_service()
