"""Imports point down: the architecture of doc/architecture.md, checked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nsqtx"

#: What each part may import of nsqtx, beside itself. `version` may be imported by all.
ALLOWED = {
    "wire": "",
    "version": "",
    "interfaces": "",
    "durations": "",
    "histogram": "",
    "kinds": "durations",
    "options": "kinds durations",
    "listen": "",
    "connections": "link",
    "link": "",
    "tls": "",
    "clienttls": "tls",
    "descriptors": "",
    "ports": "listen descriptors",
    "reactor": "interfaces",
    "jsonlog": "",
    "logs": "jsonlog kinds",
    "signals": "",
    "reload": "kinds options signals",
    "notify": "",
    "heap": "",
    "run": "heap kinds logs notify options",
    "program": "logs options reactor reload run signals",
    "broker": "wire interfaces histogram",
    "storage": "wire interfaces histogram",
    "web": "wire options durations histogram link listen",
    "cluster": "wire",
    "client": "wire durations kinds listen tls clienttls connections link cluster",
    "testing": "wire client",
    "nsqd": "wire interfaces histogram options kinds durations descriptors listen connections link "
    "tls ports logs run program signals storage broker web cluster",
    "nsqlookupd": "wire options kinds durations listen connections link ports logs run program "
    "signals web",
    "nsqadmin": "wire options kinds durations listen connections tls clienttls ports "
    "logs run program signals reload web cluster",
    # The one that may import programs: it runs them together, and is imported by nothing.
    "allinone": "options kinds listen logs run program signals nsqd nsqlookupd nsqadmin",
    "tools": "wire options kinds durations listen logs run program signals client cluster",
}
#: Parts that know no Twisted at all, and what of it the broker may use.
PURE = ("wire", "storage", "durations", "histogram", "kinds", "options", "version")
#: What modules at the top are called, where a reactor is chosen.
TOP = ("tap.py", "command.py")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    return [*module.split("."), ""][1]


def imports(path: Path, top_level_only: bool = False) -> Iterator[tuple[str, str]]:
    """Module and name (or an empty one) of each import; those for type checking are left out if
    only what happens at import time is wanted."""
    tree = ast.parse(path.read_text())
    nodes = _runtime(tree.body) if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            for alias in node.names:
                yield node.module, alias.name


def _runtime(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node


def test_every_part_has_a_place() -> None:
    """There is no module that the table of layers forgets."""
    parts = {part_of(name_of(path)) for path in modules()} - {""}
    assert parts == set(ALLOWED)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """A module imports only what its layer may."""
    part = part_of(name_of(path))
    if not part:
        return
    allowed = {part, "version", *ALLOWED[part].split()}
    for module, name in imports(path):
        if module == "nsqtx":
            assert name in allowed, f"imports nsqtx.{name}"
        elif module.startswith("nsqtx."):
            assert part_of(module) in allowed, f"imports {module}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_twisted_stays_where_it_belongs(path: Path) -> None:
    """Pure parts know no Twisted, and below the top nobody imports the reactor."""
    part = part_of(name_of(path))
    top = path.name in TOP
    for module, name in imports(path):
        if part in PURE:
            assert not module.startswith("twisted"), f"imports {module}"
        if part == "broker" and module.startswith("twisted"):
            assert module in ("twisted.internet.interfaces", "twisted.logger")
        if not top:
            assert not (module == "twisted.internet" and name == "reactor"), "imports the reactor"
            assert module != "twisted.internet.reactor"
        if part in ("wire", "broker", "storage"):
            assert not module.startswith(("klein", "treq", "twisted.web")), f"imports {module}"


def test_there_are_no_cycles() -> None:
    """No two modules import each other when they are imported."""
    graph = {
        name_of(path): {
            target
            for module, name in imports(path, top_level_only=True)
            for target in (module, f"{module}.{name}")
            if target.startswith("nsqtx.")
        }
        for path in modules()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above, module])
        if module in done or module not in graph:
            return
        for target in graph[module]:
            visit(target, (*above, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("folder", ["twisted", "twisted/plugins"])
def test_twisted_is_not_shadowed(folder: str) -> None:
    """An __init__.py in these folders would hide Twisted itself."""
    assert not (ROOT / folder / "__init__.py").exists()
