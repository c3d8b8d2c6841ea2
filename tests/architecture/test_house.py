"""The house rules a machine can check: sizes, names, where imports stand."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = sorted(
    path
    for house in ("datasets", "scoring", "portal")
    for path in (ROOT / house).rglob("*.py")
    if "migrations/versions" not in str(path)
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Everything in a module."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def functions(path: Path) -> list[Function]:
    return [node for node in nodes(path) if isinstance(node, Function)]


def body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def imported(path: Path) -> set[str]:
    """Every module that ``path`` names in an import, wherever it stands."""
    froms = {node.module or "" for node in nodes(path) if isinstance(node, ast.ImportFrom) and not node.level}
    return froms | {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert path.stem not in {"utils", "helpers", "common", "misc"}
    long = {function.name: body_lines(function) for function in functions(path) if body_lines(function) > 40}
    assert not long, "function bodies over 40 lines"
    inner = [
        function.name
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and path.name != "__main__.py"
    ]
    assert not inner, "imports stand at the top of the module"


def test_most_functions_are_short() -> None:
    sizes = [body_lines(function) for path in MODULES for function in functions(path)]
    assert sum(size <= 30 for size in sizes) >= 0.9 * len(sizes)


def test_nothing_says_not_implemented() -> None:
    assert not [str(path) for path in MODULES if "raise NotImplementedError" in path.read_text(encoding="utf-8")]


def test_houses_import_nothing_when_entered() -> None:
    for house in ("datasets", "scoring", "portal"):
        tree = ast.parse((ROOT / house / "__init__.py").read_text(encoding="utf-8"))
        assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize(
    ("house", "foreign"),
    [
        ("benchmarks", {"tests"}),
        ("datasets", {"benchmarks", "tests"}),
        ("scoring", {"benchmarks", "tests"}),
        ("portal", {"benchmarks", "tests"}),
    ],
)
def test_nothing_leans_on_what_tries_it_out(house: str, foreign: set[str]) -> None:
    leaning = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / house).rglob("*.py"))
        for name in imported(path)
        if name.split(".")[0] in foreign
    ]
    assert not leaning
