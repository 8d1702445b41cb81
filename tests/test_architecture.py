from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
SOURCES = ROOT / "src" / "pawsure"
PACKAGES = {path.parent.name for path in SOURCES.glob("*/__init__.py")} | {
    path.stem for path in SOURCES.glob("[a-z]*.py")
}
NEEDS_KERAS = {"network", "training", "export"}
FOUNDATIONS = {
    "_version",
    "errors",
    "extras",
    "installation",
    "onnx_runtime",
    "progress",
    "progress_bars",
    "wording",
}


def may_import() -> dict[str, set[str]]:
    """The table 'who imports whom' as docs/architecture.md has it."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", ARCHITECTURE.read_text(), re.MULTILINE)
    return {package: set(re.findall(r"\w+", allowed)) for package, allowed in rows}


def test_the_table_is_read_at_all():
    assert may_import()["model"] == {"data", "trust", "evaluation"}


@dataclass(frozen=True)
class Import:
    """One module that another one imports, or starts or names by a string."""

    importer: str
    imported: str
    for_types: bool


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(SOURCES.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SOURCES.rglob("*.py"))}


def imports_of(module: str) -> Iterator[Import]:
    """Every import of a file, those inside functions too, and modules that a string names."""

    def visit(node: ast.AST, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in FILES else str(node.module) for name in whole]
        elif isinstance(node, ast.Constant) and node.value in FILES.keys() - {"pawsure"}:
            names = [node.value]
        else:
            names = []
        yield from (Import(module, name, for_types) for name in names if name != module)
        checked = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.iter_child_nodes(node):
            yield from visit(child, for_types or checked)

    yield from visit(ast.parse(FILES[module].read_text()), False)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [found for module in FILES for found in imports_of(module)]


def test_imports_are_found_wherever_they_stand(imports):
    """The rules below hold nothing where this finds nothing."""
    found = {(each.importer, each.imported, each.for_types) for each in imports}
    assert ("pawsure.model.sessions", "pawsure.errors", False) in found
    assert ("pawsure.model.answer", "pawsure.model.showing", False) in found  # in a method
    assert ("pawsure.model.showing", "pawsure.model.answer", True) in found
    assert ("pawsure.audit.embeddings", "pawsure.network.encoder", False) in found  # a string
    assert ("pawsure.network.framework", "keras", False) in found


def package_of(module: str) -> str:
    """'data' for pawsure.data.images; '' for pawsure itself and for other projects."""
    parts = module.split(".")
    return parts[1] if parts[0] == "pawsure" and len(parts) > 1 else ""


def top(module: str) -> str:
    """The library that a module belongs to."""
    return module.partition(".")[0]


def test_every_package_has_a_row_in_the_architecture():
    assert set(may_import()) - {"_version"} == PACKAGES


def test_every_file_that_the_architecture_names_is_there():
    named = re.findall(r"`(\w+/[\w/]+\.\w+)`", ARCHITECTURE.read_text())
    assert not [path for path in named if not ((SOURCES / path).exists() or (ROOT / path).exists())]


def test_the_picture_of_the_layout_agrees_with_the_table():
    picture = ARCHITECTURE.read_text().partition("## Layout")[2].split("```")[1]
    table = may_import()
    lines = [set(re.findall(r"\w+", line[:44])) & set(table) for line in picture.splitlines()]
    level = {package: -number for number, line in enumerate(lines) for package in line}
    assert set(level) >= set(table) - FOUNDATIONS
    upwards = [
        f"{package} imports {other}"
        for package in set(table) - FOUNDATIONS
        for other in table[package]
        if level[other] >= level[package]
    ]
    assert not upwards


def test_packages_import_only_what_the_architecture_allows(imports):
    table = may_import() | {"__main__": {"cli"}}
    forbidden = [
        f"{each.importer} imports {each.imported}"
        for each in imports
        if (source := package_of(each.importer)) and (target := package_of(each.imported))
        if target not in table[source] | {source} | FOUNDATIONS
    ]
    assert not forbidden


def test_the_audit_starts_the_encoder_and_imports_nothing_of_the_network(imports):
    named = {each.imported for each in imports if package_of(each.importer) == "audit"}
    of_network = {module for module in named if package_of(module) == "network"}
    assert of_network == {"pawsure.network.encoder"}
    embeddings = ast.parse(FILES["pawsure.audit.embeddings"].read_text())
    written = {node.module for node in ast.walk(embeddings) if isinstance(node, ast.ImportFrom)}
    assert not written & of_network


def test_nothing_imports_the_front_door(imports):
    assert "pawsure" not in {each.imported for each in imports}


def test_no_files_import_each_other_in_a_circle(imports):
    """Annotations may name what imports the module that they stand in; nothing else may."""
    needs: dict[str, set[str]] = {module: set() for module in FILES}
    for each in imports:
        if each.imported in FILES and not each.for_types:
            needs[each.importer].add(each.imported)
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_allowed_imports_have_no_cycle():
    table = may_import()
    placed: set[str] = set()
    while ready := {package for package in set(table) - placed if table[package] <= placed}:
        placed |= ready
    assert placed == set(table)


def test_keras_and_tensorflow_are_named_only_where_training_needs_them(imports):
    wrong = [
        f"{each.importer} imports {each.imported}"
        for each in imports
        if top(each.imported) in {"keras", "tensorflow"}
        or each.imported == "pawsure.network.framework"
        if package_of(each.importer) not in NEEDS_KERAS
    ]
    assert not wrong


# Each of these libraries does something behind the user's back when it is imported; the one
# module that may import it sees to that.
ONLY_IMPORTER = {
    "onnxruntime": "pawsure.onnx_runtime",
    "keras": "pawsure.network.framework",
    "tensorflow": "pawsure.network.framework",
}


@pytest.mark.parametrize("library", ONLY_IMPORTER)
def test_libraries_that_report_or_leave_files_are_imported_in_one_place(imports, library):
    importers = {
        each.importer for each in imports if top(each.imported) == library and not each.for_types
    }
    assert importers == {ONLY_IMPORTER[library]}


def test_onnx_runtime_opens_graphs_in_one_place():
    opening = {
        path.name
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"InferenceSession", "SessionOptions"}
    }
    assert opening == {"onnx_runtime.py"}


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "tools").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]),
    ids=lambda path: path.name,
)
def test_tools_and_benchmarks_import_onnx_runtime_through_pawsure(path):
    assert not re.search(r"^\s*(import|from) onnxruntime", path.read_text(), re.MULTILINE)


def test_importing_the_prediction_side_loads_no_tensorflow():
    light = sorted(PACKAGES - NEEDS_KERAS)
    program = f"""
import importlib, pkgutil, sys
import pawsure
for package in {light}:
    module = importlib.import_module("pawsure." + package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        importlib.import_module(found.name)
heavy = {{"tensorflow", "keras"}} & set(sys.modules)
sys.exit(f"loaded: {{heavy}}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_only_the_command_line_and_the_server_print_or_exit():
    speaking = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES.rglob("*.py")
        if path.relative_to(SOURCES).parts[0] not in {"cli", "serving", "progress_bars.py"}
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.match(r"\s*(print\(|sys\.exit\(|logging\.basicConfig\()", line)
    ]
    assert not speaking
