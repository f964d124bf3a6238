"""`flask keys`: the keys of an installation, made, listed and changed. It needs no application and no settings."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import click
from common.clock import utc_now
from common.jwt import ES256, RS256

from auth_service.keys import changes
from auth_service.keys.durations import Duration
from auth_service.keys.errors import KeyFileError
from auth_service.keys.listing import Row, list_keys
from auth_service.keys.manifest import SINCE_EVER

_DEFAULT_REFRESH_TTL = "2592000"  # the default of REFRESH_ABSOLUTE_TTL_SECONDS
_REFRESH_PREFIX = "refresh:"

_algorithm = click.Choice([ES256, RS256])
_in_directory = click.option(
    "--dir",
    "directory",
    envvar="AUTH_KEYS_DIR",
    show_envvar=True,
    required=True,
    type=click.Path(path_type=Path),
    help="The directory of the keys.",
)
_force = click.option("--force", is_flag=True, help="Also with a short lead, or beside a rotation that is planned.")


@click.group()
def keys() -> None:
    """The keys that sign access tokens and derive refresh tokens."""


@keys.command()
@_in_directory
@click.option("--alg", type=_algorithm, default=ES256, show_default=True, help="What a new signing key signs with.")
def init(directory: Path, alg: str) -> None:
    """Make the keys that are missing; those that are there stay."""
    with _reported():
        made = changes.init(directory, alg)
        rows, _ = list_keys(directory, utc_now())
    for row in rows:
        click.echo(f"{'made' if row.file in made else 'kept'} {row.alg} key {row.kid} in {directory / row.file}")


@keys.command(name="list")
@_in_directory
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(directory: Path, as_json: bool) -> None:
    """Show each key, what it does now, and until when."""
    with _reported():
        rows, strays = list_keys(directory, utc_now())
    if as_json:
        shown = [asdict(row) | {"sign_from": _iso(row.sign_from), "retires_at": _iso(row.retires_at)} for row in rows]
        click.echo(json.dumps({"keys": shown, "ignored": strays}, indent=2))
        return
    for line in _table(rows):
        click.echo(line)
    if strays:
        click.echo(f"Ignored, because manifest.json does not name them: {', '.join(strays)}", err=True)


@keys.command()
@_in_directory
@click.option("--lead", type=Duration(), default="24h", show_default=True, help="How long until the new key is used.")
@click.option("--alg", type=_algorithm, help="What the next key signs with.  [default: as the newest key]")
@click.option("--refresh", is_flag=True, help="Rotate the key of refresh tokens instead.")
@_force
def rotate(directory: Path, lead: timedelta, alg: str | None, refresh: bool, force: bool) -> None:
    """Plan the next key, and take away those that are retired."""
    if refresh and alg:
        raise click.UsageError("--alg is for signing keys; refresh keys have one algorithm.")
    with _reported():
        if refresh:
            change = changes.rotate_refresh_key(directory, utc_now(), lead, force=force)
        else:
            change = changes.rotate(directory, utc_now(), lead, alg, force=force)
    _report_files(change)
    click.echo(f"{change.file} {'is used' if refresh else 'signs'} from {_iso(change.sign_from)}")


@keys.command()
@_in_directory
@click.option(
    "--refresh-ttl-seconds",
    envvar="REFRESH_ABSOLUTE_TTL_SECONDS",
    show_envvar=True,
    type=click.IntRange(min=60),
    default=_DEFAULT_REFRESH_TTL,
    show_default=True,
    help="For how long a session may need the refresh key it began with.",
)
def prune(directory: Path, refresh_ttl_seconds: int) -> None:
    """Delete the keys that nothing depends on any more."""
    with _reported():
        deleted = changes.prune(directory, utc_now(), timedelta(seconds=refresh_ttl_seconds))
    for name in deleted:
        click.echo(f"deleted {name}")
    if not deleted:
        click.echo("nothing to delete")


@keys.command(context_settings={"ignore_unknown_options": True})  # a kid may begin with a dash
@_in_directory
@click.argument("name", metavar="KID|refresh:VERSION")
@click.option("--yes", is_flag=True, help="Do not ask before sessions end.")
def revoke(directory: Path, name: str, yes: bool) -> None:
    """Take away a key at once, because somebody else may have it.

    Everything it signed stops working as soon as auth and the verifiers know.
    """
    is_refresh = name.startswith(_REFRESH_PREFIX)
    if is_refresh and not yes:
        click.confirm("Every session whose refresh token this key made ends. Go on?", abort=True)
    with _reported():
        change = _revoke_refresh_key(directory, name) if is_refresh else changes.revoke(directory, utc_now(), name)
    _report_files(change)
    if change.was_retired:
        click.echo(f"{name} was retired already: it was neither published nor accepted any more")
    click.echo(f"{change.file} is in use")
    if change.file in change.made and not is_refresh:
        click.echo(
            "No verifier knows it yet. Ours ask within seconds; others refuse new tokens until their cache has aged.",
            err=True,
        )


def _revoke_refresh_key(directory: Path, name: str) -> changes.Change:
    version = name.removeprefix(_REFRESH_PREFIX)
    if not (version.isascii() and version.isdigit()):
        raise click.UsageError("a refresh key is called refresh:VERSION, as refresh:1")
    return changes.revoke_refresh_key(directory, utc_now(), int(version))


@contextmanager
def _reported() -> Iterator[None]:
    """Turn a fault into a line on standard error and status 1."""
    try:
        yield
    except KeyFileError as error:
        raise click.ClickException(str(error)) from error


def _report_files(change: changes.Change) -> None:
    for name in change.made:
        click.echo(f"made {name}")
    for name in change.deleted:
        click.echo(f"deleted {name}")


def _table(rows: list[Row]) -> Iterator[str]:
    """Lines of aligned columns, the names of the columns first."""
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("KID", lambda row: row.kid),
        ("FILE", lambda row: row.file),
        ("ALG", lambda row: row.alg),
        ("STATE", lambda row: row.state),
        ("SIGNS FROM", lambda row: _since(row.sign_from)),
        ("RETIRES", lambda row: _iso(row.retires_at) or "-"),
    ]
    lines = [[name for name, _ in columns], *([text(row) for _, text in columns] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _since(moment: datetime | None) -> str:
    if moment is None:
        return "reserve"
    return "ever" if moment == SINCE_EVER else str(_iso(moment))


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
