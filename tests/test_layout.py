"""The layout of the packages: what may import what, and what loads when."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from graphs._layout import check_layout

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "agents": {"agents"},
    "configs": {"agents", "configs"},
    "graphs": {"agents", "configs", "graphs"},
    "training": {"agents", "configs", "graphs", "training"},
}
HEAVY = ("torch", "vllm", "transformers", "trl", "datasets")


def imports_of(path: Path) -> set[str]:
    """Returns the top-level names that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_dependencies_point_downwards(package: str) -> None:
    paths = [*(ROOT / package).rglob("*.py")]
    assert paths
    for path in paths:
        above = imports_of(path) & set(ALLOWED) - ALLOWED[package]
        assert not above, f"{path.relative_to(ROOT)} imports {above}, which stand above {package}"


@pytest.mark.parametrize(
    "module",
    [
        "agents.roles.policy",
        "agents.answers",
        "configs",
        "graphs",
        "graphs.run",
        "graphs.tasks",
        "training",
    ],
)
def test_heavy_libraries_load_only_when_an_engine_or_a_trainer_is_built(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_intruder_is_named(tmp_path: Path) -> None:
    check_layout()
    with pytest.raises(ImportError, match=r"'agents' is taken by .*virtual environment"):
        check_layout(tmp_path)


def test_every_package_folder_has_only_imports_in_its_init() -> None:
    for package in ALLOWED:
        for path in (ROOT / package).rglob("__init__.py"):
            kinds = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
            assert all(isinstance(node, kinds) for node in ast.parse(path.read_text()).body), path


def test_nothing_imports_a_command() -> None:
    commands = {
        f"{package}.{path.stem}"
        for package in ("graphs", "training")
        for path in (ROOT / package).glob("*.py")
        if "__main__" in path.read_text() and path.stem != "cli"
    }
    assert {"graphs.ask", "graphs.run", "training.run", "training.demo"} <= commands
    for package in ALLOWED:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
                    assert not names & commands, f"{path.relative_to(ROOT)} imports {names}"


MOST_MODULES = 14
"""Modules of one folder, beside `__init__` and forwarders."""


def is_forwarder(path: Path) -> bool:
    return path.read_text().startswith('"""Forwards `python -m')


def folder_of(module: str) -> str:
    """Returns the folder below the package, "graphs.tree" for a module in or below
    it.
    """
    parts = module.split(".")
    return ".".join(parts[:2]) if (ROOT / Path(*parts[:2])).is_dir() else parts[0]


def folder_arrows(package: str) -> dict[str, set[str]]:
    """Returns the folders of a package that the modules of each import."""
    arrows: dict[str, set[str]] = {}
    for path in (ROOT / package).rglob("*.py"):
        own = folder_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if own == package and path.name == "__init__.py":  # the public names of the package
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                arrows.setdefault(own, set()).add(folder_of(node.module or ""))
    return {folder: others - {folder} for folder, others in arrows.items()}


@pytest.mark.parametrize("package", ALLOWED)
def test_folders_import_each_other_one_way(package: str) -> None:
    arrows = folder_arrows(package)
    while arrows:
        free = [folder for folder, others in arrows.items() if not others & arrows.keys()]
        assert free, f"folders that import each other in a circle: {arrows}"
        for folder in free:
            del arrows[folder]


@pytest.mark.parametrize("package", ALLOWED)
def test_folders_are_small(package: str) -> None:
    folders = [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]
    for folder in folders:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        own = [path for path in modules if not is_forwarder(path)]
        assert len(own) <= MOST_MODULES, f"{folder.relative_to(ROOT)} holds {len(own)} modules"


LONGEST_TEST_NAME = 70


def test_test_names_are_short() -> None:
    names = [
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    assert "test_test_names_are_short" in names
    assert [name for name in names if len(name) > LONGEST_TEST_NAME] == []
