"""The rules of the layout: who may import whom, what packages are called and what they have."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from devtools.lock import declared_requirements
from devtools.paths import ROOT, package_folders
from packaging.requirements import Requirement

FOLDERS = {f"{folder.parent.name}/{folder.name}": folder for folder in package_folders()}
SERVICES = {name: folder for name, folder in FOLDERS.items() if name.startswith("services/")}
LIBRARIES = {name: folder for name, folder in FOLDERS.items() if name.startswith("libs/")}


@cache
def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def package_name(folder: Path) -> str:
    (package,) = project(folder)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return package


def imports(folder: Path) -> dict[str, set[str]]:
    """Top-level packages that the package of this folder imports, each with the files that do."""
    found: dict[str, set[str]] = {}
    for file in (folder / package_name(folder)).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            for name in imported_names(node):
                found.setdefault(name.split(".")[0], set()).add(str(file.relative_to(ROOT)))
    return found


def imported_names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [module]
    return []


def local_packages() -> dict[str, Path]:
    return {package_name(folder): folder for folder in FOLDERS.values()}


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_imports_another_service(name):
    others = {package_name(folder) for other, folder in SERVICES.items() if other != name}
    assert {package: files for package, files in imports(SERVICES[name]).items() if package in others} == {}


@pytest.mark.parametrize("name", LIBRARIES)
def test_no_library_imports_a_service(name):
    services = {package_name(folder) for folder in SERVICES.values()}
    assert {package: files for package, files in imports(LIBRARIES[name]).items() if package in services} == {}


def test_common_imports_no_other_package_of_this_repository():
    others = local_packages().keys() - {"common"}
    assert {package: files for package, files in imports(FOLDERS["libs/common"]).items() if package in others} == {}


def test_contacts_knows_of_jobs_only_how_they_are_declared():
    """A kind is declared once, in its domain; who enqueues it and who runs it take the rest from jobs."""
    assert imported_modules("libs/contacts", "jobs") == {"jobs.kinds"}
    assert "contacts" not in imports(FOLDERS["libs/jobs"])


def imported_modules(name: str, package: str) -> set[str]:
    folder = FOLDERS[name]
    files = (folder / package_name(folder)).rglob("*.py")
    found = {each for file in files for node in ast.walk(ast.parse(file.read_text())) for each in imported_names(node)}
    return {module for module in found if module.split(".")[0] == package}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_declares_the_local_packages_it_imports_and_no_others(name):
    folder = FOLDERS[name]
    declared = {line for line in project(folder)["project"]["dependencies"] if line.startswith("redprint-")}
    used = {
        f"redprint-{local_packages()[package].name}"
        for package in imports(folder)
        if package in local_packages() and local_packages()[package] != folder
    }
    assert declared == used


@pytest.mark.parametrize("name", FOLDERS)
def test_a_distribution_is_named_for_its_folder(name):
    assert project(FOLDERS[name])["project"]["name"] == f"redprint-{FOLDERS[name].name}"


@pytest.mark.parametrize("name", SERVICES)
def test_the_package_of_a_service_has_a_name_no_library_has(name):
    assert package_name(SERVICES[name]) == f"{SERVICES[name].name}_service"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_has_tests_types_and_a_readme_that_says_more_than_its_name(name):
    folder = FOLDERS[name]
    assert (folder / package_name(folder) / "py.typed").is_file()
    assert list((folder / "tests").rglob("test_*.py"))
    assert len((folder / "README.md").read_text().splitlines()) > 5


@pytest.mark.parametrize("name", FOLDERS)
def test_a_package_says_its_licence_and_oldest_python(name):
    described = project(FOLDERS[name])["project"]
    assert (described["license"], described["requires-python"]) == ("Apache-2.0", ">=3.11")


def locked(lock: str) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE)
    return dict(pins)


def test_the_lock_holds_what_every_package_declares():
    pins = locked("requirements.lock")
    for line in declared_requirements(package_folders()):
        wanted = Requirement(line)
        assert wanted.specifier.contains(pins[wanted.name.lower()]), f"{line}: run make lock"


def test_the_development_lock_holds_what_its_list_names_and_agrees_with_the_other_lock():
    wanted = {line for line in (ROOT / "requirements-dev.in").read_text().splitlines() if not line.startswith("#")}
    pins = locked("requirements-dev.lock")
    assert wanted <= pins.keys(), "run make lock"
    runtime = locked("requirements.lock")
    assert {name: pins[name] for name in pins.keys() & runtime.keys() if pins[name] != runtime[name]} == {}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_by_hash_and_names_no_index_host_or_path(lock):
    text = (ROOT / lock).read_text()
    pinned = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert len(pinned) > 30
    assert len(re.findall(r"^[a-z0-9][^\n]*==[^\n]* \\\n    --hash=sha256:", text, re.MULTILINE)) == len(pinned)
    assert "://" not in text
    assert str(ROOT) not in text


def test_no_text_of_the_scripts_names_the_host_of_a_package_registry():
    hosts = re.compile(r"\b(?:pypi|pythonhosted|debian|docker|npmjs)\.(?:org|com|io)\b")
    files = [ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "scripts").rglob("*"), *(ROOT / "docs").rglob("*.md")]
    texts = {file: file.read_bytes().decode(errors="replace") for file in files if file.is_file()}
    assert [str(file) for file, text in texts.items() if file.suffix != ".pyc" and hosts.search(text)] == []
