"""scripts/make-secrets: create what is missing, list what is there, never change anything."""

import fnmatch
import os
import sys
from collections.abc import Mapping

from devtools import say
from devtools.make_secrets.certificate import CA_KEYS, CA_SECRET, SERVER_KEYS, SERVER_SECRET, server_certificate
from devtools.make_secrets.cluster import Namespace
from devtools.make_secrets.wanted import PLAIN, SUCCESSORS, Values, Wanted
from devtools.say import Stop

ENVIRONMENTS = ("development", "staging", "production")

USAGE = """\
usage: scripts/make-secrets ENV=development|staging|production [NAMESPACE=redprint-ENV] [CONFIRM=context] [--check]

Creates each Secret the releases need that is missing in the namespace. What exists is kept as it is, names are printed,
values never. With --check nothing is created: the status is 1 when something is missing, and that is listed.

ENV, NAMESPACE and CONFIRM may also be set in the environment. ENV=production wants CONFIRM=<kubectl's context>."""

_ALL = (*((wanted.name, wanted.keys) for wanted in PLAIN), (SERVER_SECRET, SERVER_KEYS), (CA_SECRET, CA_KEYS))


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 when all is there, 1 with a reason when not, 2 for a wrong call."""
    given = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(given):
        say.result(USAGE)
        return 0
    check = "--check" in given
    settings = dict(os.environ)
    for argument in given:
        name, equals, value = argument.partition("=")
        if argument == "--check":
            continue
        if not equals or name not in {"ENV", "NAMESPACE", "CONFIRM"}:
            say.note(USAGE)
            return 2
        settings[name] = value
    env = settings.get("ENV", "")
    if env not in ENVIRONMENTS:
        say.note(f"ENV is {env or 'not set'}; it has to be one of {', '.join(ENVIRONMENTS)}.\n\n{USAGE}")
        return 2
    try:
        return run(env, settings, check=check)
    except Stop as stop:
        say.note(f"make-secrets: {stop}")
        return 1


def run(env: str, settings: Mapping[str, str], *, check: bool) -> int:
    """Create or, with `check`, list what is missing in the environment's namespace."""
    namespace = Namespace(settings.get("NAMESPACE") or f"redprint-{env}")
    context = namespace.context()
    if env == "production" and not check and settings.get("CONFIRM") != context:
        raise Stop(f"this would create Secrets for production in {namespace.name}; if that is meant: CONFIRM={context}")
    say.note(f"Secrets in namespace {namespace.name} of {context}:")
    namespace.require(f"create it: kubectl apply -k k8s/overlays/{env} (or kubectl create namespace {namespace.name})")
    found = namespace.keys_by_secret()
    if not check:
        # Before anything is created, so that a refusal leaves everything as it was.
        refuse_stray_ca(found, namespace.name)
        create_missing(namespace, found)
        found = namespace.keys_by_secret()
    missing = [name for name, _ in _ALL if name not in found]
    incomplete = lacking(found)
    for line in (*(f"{name} is missing" for name in missing), *incomplete):
        say.result(line)
    if missing:
        say.note(f"To create what is missing: scripts/make-secrets ENV={env} NAMESPACE={namespace.name}")
    if not missing and not incomplete:
        say.note(f"All {len(_ALL)} are there.")
    return 1 if missing or incomplete else 0


def create_missing(namespace: Namespace, found: Mapping[str, set[str]]) -> None:
    """Create what was not found, and say so by name."""
    for wanted in PLAIN:
        if wanted.name not in found:
            _create(namespace, wanted, wanted.make())
    # The server's first, and the CA's from whatever then is in the cluster: two runs at once agree on one CA.
    if SERVER_SECRET not in found:
        server = Wanted(SERVER_SECRET, SERVER_KEYS, lambda: server_certificate(namespace.name), "kubernetes.io/tls")
        _create(namespace, server, server.make())
    if CA_SECRET not in found and "ca.crt" in found.get(SERVER_SECRET, SERVER_KEYS):
        ca = Wanted(CA_SECRET, CA_KEYS, lambda: {"ca.crt": namespace.certificate(SERVER_SECRET, "ca.crt")})
        _create(namespace, ca, ca.make())


def refuse_stray_ca(found: Mapping[str, set[str]], namespace: str) -> None:
    """Raise Stop when there is a CA without the certificate it signed: its key is gone, so no other can be signed."""
    if CA_SECRET in found and SERVER_SECRET not in found:
        raise Stop(
            f"{CA_SECRET} exists but {SERVER_SECRET} does not, and a new certificate would have another CA. "
            f"Put {SERVER_SECRET} back; or, to let both be made anew: "
            f"kubectl -n {namespace} delete secret {CA_SECRET}, and restart the pods that use it"
        )


def lacking(found: Mapping[str, set[str]]) -> list[str]:
    """Return a line for each Secret that exists without a key it should have."""
    lines = []
    for name, keys in _ALL:
        if name not in found:
            continue
        absent = [key for key in keys if not fnmatch.filter(found[name], SUCCESSORS.get(key, key))]
        if absent:
            what = ", ".join(absent)
            lines.append(
                f"{name} exists without {what}, and is left as it is: add what is missing "
                f"(kubectl edit secret {name}), or delete the Secret and run this again"
            )
    return lines


def _create(namespace: Namespace, wanted: Wanted, values: Values) -> None:
    created = namespace.create(wanted, values)
    say.result(f"{wanted.name} created" if created else f"{wanted.name} kept: somebody else has just created it")
