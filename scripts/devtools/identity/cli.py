"""scripts/check-identity: asks deployed services what a client would notice of a logout, or of a change of keys."""

import argparse

from devtools import say
from devtools.identity.checks import NotKept, Services, keys_change, logout_is_heard


def main(arguments: list[str] | None = None) -> int:
    """Check; 1 with the reason on standard error where a promise is not kept."""
    chosen = _parser().parse_args(arguments)
    services = Services(chosen.auth_url, chosen.api_url)
    try:
        if chosen.what == "logout":
            seconds = logout_is_heard(services)
            say.result(f"the api refused the access token {seconds:.2f} s after the logout")
        else:
            before, after, asked = keys_change(services, chosen.within)
            say.result(f"{after} signs in place of {before}; the api took all of {asked} tokens meanwhile")
    except (NotKept, OSError) as problem:
        say.note(f"check-identity: {problem}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/check-identity", description="Check a promise about sessions and keys."
    )
    parser.add_argument("what", choices=["logout", "rotation"], help="rotation waits for a change that is planned")
    parser.add_argument("auth_url", help="for instance http://127.0.0.1:8001")
    parser.add_argument("api_url", help="for instance http://127.0.0.1:8002")
    parser.add_argument("--within", type=float, default=180, help="seconds a change of keys may take (default: 180)")
    return parser
