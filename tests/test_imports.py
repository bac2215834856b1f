"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import linkspan

SOURCE = Path(linkspan.__file__).parent

LAYERS = (
    {"types"},
    {"errors"},
    {"wire", "control"},
    {"bridge"},
    {"model"},
    {"plan"},
    {"sandbox"},
    {"engine"},
    {"services"},
    {"view"},
    {"interop"},
    {"lab"},
    {"cli"},
    {"__init__", "__main__"},
)
"""From below to above: a package imports only from its own and from lower layers."""

PURE = ("types", "errors", "wire", "bridge", "model", "plan", "view", "interop")
"""Bytes and values in, bytes and values out."""

IMPURE_MODULES = {
    "asyncio",
    "ctypes",
    "fcntl",
    "multiprocessing",
    "os",
    "pyroute2",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}


def package_of(module: str) -> str:
    """`bridge` for `linkspan.bridge.fdb`, `__init__` for `linkspan` itself."""
    return [*module.split("."), "__init__"][1]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text(), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """Everything a module imports, also where it does so inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where something comes from"
            assert node.module is not None
            if (node.module, [name.name for name in node.names]) != ("linkspan", ["__version__"]):
                yield node.module


def own_imports() -> Iterator[tuple[str, str]]:
    for module, tree in modules():
        for imported in imports(tree):
            if imported.split(".")[0] == "linkspan":
                yield module, imported


def level(package: str) -> int:
    (found,) = (height for height, layer in enumerate(LAYERS) if package in layer)
    return found


def test_every_package_has_a_layer() -> None:
    for module, _ in modules():
        assert level(package_of(module)) >= 0


def test_imports_point_downwards() -> None:
    upwards = [
        f"{module} imports {imported}"
        for module, imported in own_imports()
        if level(package_of(imported)) > level(package_of(module))
    ]
    assert not upwards


def test_neighbours_of_one_layer_do_not_import_each_other() -> None:
    sideways = [
        f"{module} imports {imported}"
        for module, imported in own_imports()
        if package_of(imported) != package_of(module)
        and level(package_of(imported)) == level(package_of(module))
    ]
    assert not sideways


def test_only_the_program_itself_imports_the_command_line() -> None:
    importers = {
        module
        for module, imported in own_imports()
        if package_of(imported) == "cli" and package_of(module) != "cli"
    }
    assert importers == {"linkspan.__main__"}


def test_pure_packages_import_nothing_of_the_operating_system() -> None:
    impure = [
        f"{module} imports {imported}"
        for module, tree in modules()
        if package_of(module) in PURE
        for imported in imports(tree)
        if imported.split(".")[0] in IMPURE_MODULES
    ]
    assert not impure


def test_everything_imported_is_of_python_or_a_declared_dependency() -> None:
    declared = {"click", "cryptography", "linkspan", "msgspec", "pyroute2", "rich", "ruamel"}
    foreign = {imported.split(".")[0] for _, tree in modules() for imported in imports(tree)} - set(
        sys.stdlib_module_names
    )
    assert foreign <= declared
