from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
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


@pytest.fixture(scope="module")
def imports() -> list[tuple[str, str]]:
    """Every import in the sources, those inside functions too: (importer, imported)."""
    graph = grimp.build_graph("pawsure", include_external_packages=True, cache_dir=None)
    return [
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    ]


def package_of(module: str) -> str:
    """'data' for pawsure.data.images; '' for pawsure itself and for other projects."""
    parts = module.split(".")
    return parts[1] if parts[0] == "pawsure" and len(parts) > 1 else ""


def test_every_package_has_a_row_in_the_architecture():
    assert not PACKAGES - set(may_import())


def test_packages_import_only_what_the_architecture_allows(imports):
    table = may_import() | {"__main__": {"cli"}}
    forbidden = [
        f"{importer} imports {imported}"
        for importer, imported in imports
        if (source := package_of(importer)) and (target := package_of(imported))
        if target not in table[source] | {source} | FOUNDATIONS
    ]
    assert not forbidden


def test_the_allowed_imports_have_no_cycle():
    table = may_import()
    placed: set[str] = set()
    while ready := {package for package in set(table) - placed if table[package] <= placed}:
        placed |= ready
    assert placed == set(table)


def test_keras_and_tensorflow_are_named_only_where_training_needs_them(imports):
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports
        if (imported in {"keras", "tensorflow"} or imported == "pawsure.network.framework")
        and package_of(importer) not in NEEDS_KERAS
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
def test_libraries_that_report_or_leave_files_are_imported_in_one_place(library):
    graph = grimp.build_graph(
        "pawsure",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )
    assert graph.find_modules_that_directly_import(library) == {ONLY_IMPORTER[library]}


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
