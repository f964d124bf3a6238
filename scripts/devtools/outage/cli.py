"""scripts/check-jobs: has deployed services accept imports, and looks later that all of them were done."""

import argparse
from pathlib import Path

from devtools import say
from devtools.identity.checks import NotKept, Services
from devtools.outage.checks import Accepted, accept_imports, none_has_ended, wait_for_jobs


def main(arguments: list[str] | None = None) -> int:
    """Check; 1 with the reason on standard error where a promise is not kept."""
    chosen = _parser().parse_args(arguments)
    try:
        say.result(chosen.do(chosen))
    except (NotKept, OSError) as problem:
        say.note(f"check-jobs: {problem}")
        return 1
    return 0


def _accept(chosen: argparse.Namespace) -> str:
    accepted, slowest = accept_imports(Services(chosen.auth_url, chosen.api_url), chosen.api_url, chosen.count)
    accepted.save(chosen.file)
    return f"{chosen.count} imports accepted, the slowest in {slowest:.2f} s"


def _waiting(chosen: argparse.Namespace) -> str:
    none_has_ended(chosen.api_url, Accepted.load(chosen.file))
    return "all of them wait"


def _done(chosen: argparse.Namespace) -> str:
    accepted = Accepted.load(chosen.file)
    seconds = wait_for_jobs(chosen.api_url, accepted, chosen.within)
    return f"{len(accepted.jobs)} imports succeeded within {seconds:.1f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/check-jobs", description="Check that accepted jobs survive an outage."
    )
    steps = parser.add_subparsers(required=True, metavar="accept|waiting|done")
    accept = steps.add_parser("accept", help="register, import the sample a few times, keep the jobs in FILE")
    accept.add_argument("auth_url", help="for instance http://127.0.0.1:8001")
    accept.set_defaults(do=_accept)
    waiting = steps.add_parser("waiting", help="look that none of them is done")
    waiting.set_defaults(do=_waiting)
    done = steps.add_parser("done", help="wait until all of them have succeeded")
    done.set_defaults(do=_done)
    for step in (accept, waiting, done):
        step.add_argument("api_url", help="for instance http://127.0.0.1:8002")
        step.add_argument("file", type=Path, metavar="FILE")
    accept.add_argument("--count", type=int, default=5, help="how many imports (default: 5)")
    done.add_argument("--within", type=float, default=120, help="seconds they may take (default: 120)")
    return parser
