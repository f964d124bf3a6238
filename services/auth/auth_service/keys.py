"""Makes the signing key of an installation: `python -m auth_service.keys DIR`."""

import argparse
import sys
from pathlib import Path

from common.jwt import ES256, RS256, KeyFileError, generate_signing_key, load_signing_key

KEY_FILE = "signing.pem"


def main(arguments: list[str] | None = None) -> int:
    """Make a key where there is none; never overwrite one. Return 0, or 1 with the reason on standard error."""
    chosen = _parser().parse_args(arguments)
    try:
        made = _make_key(chosen.directory, chosen.alg)
        key = load_signing_key(chosen.directory)
    except (OSError, KeyFileError) as error:
        print(f"auth_service.keys: {error}", file=sys.stderr)  # noqa: T201 - a command line talks to a person
        return 1
    print(f"{'made' if made else 'kept'} {key.alg} key {key.kid} in {chosen.directory}")  # noqa: T201 - as above
    return 0


def _make_key(directory: Path, alg: str) -> bool:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.glob("*.pem")):
        return False
    return generate_signing_key(directory / KEY_FILE, alg)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m auth_service.keys",
        description="Make the key that signs access tokens, unless the directory has one.",
    )
    parser.add_argument("directory", type=Path, help="where the key is, or will be (made with mode 0700)")
    parser.add_argument("--alg", choices=(ES256, RS256), default=ES256, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
