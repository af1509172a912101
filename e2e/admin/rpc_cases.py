"""Which cases call which rpc, read from the tests themselves: `python rpc_cases.py` prints the tables of docs/conformance.md."""

import ast
import collections
import pathlib
import re

from transports import METHODS, SERVICES

TESTS = pathlib.Path(__file__).resolve().parent / "tests"
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
ROW = re.compile(r"^test_([A-Z])_(\d+)_")


def row_of(test: str) -> str:
    """`K-1` of `test_K_1_same_task_twice`; nothing of a name without a row."""
    found = ROW.match(f"{test}_")
    return f"{found[1]}-{found[2]}" if found else ""


def cases_by_test() -> dict[tuple[str, str], set[str]]:
    """Rpcs named in each test, its decorators, and the module's functions and tables that it uses; by file and test."""
    found = {}
    for file in sorted(TESTS.glob("test_*.py")):
        parts = {name: node for node in ast.parse(file.read_text()).body for name in names_of(node)}
        for name, node in parts.items():
            if name.startswith("test_"):
                found[file.stem, name] = rpcs_in(node, parts, set())
    return found


def names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    return [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []


def rpcs_in(node: ast.AST, parts: dict[str, ast.stmt], seen: set[str]) -> set[str]:
    rpcs = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value in METHODS:
            method = METHODS[one.value]
            rpcs.add(f"{method.containing_service.name}/{method.name}")
        name = one.id if isinstance(one, ast.Name) else one.arg if isinstance(one, ast.arg) else None
        if name in parts and name not in seen:
            seen.add(name)
            rpcs |= rpcs_in(parts[name], parts, seen)
    return rpcs


def page_tables() -> str:
    cases = cases_by_test()
    by_rpc, by_row = collections.defaultdict(lambda: collections.defaultdict(set)), collections.defaultdict(set)
    for (file, test), rpcs in cases.items():
        if row := row_of(test):
            by_row[row].add(f"`{file}`")
        # That one calls them all.
        for rpc in rpcs if file != "test_generated" else ():
            by_rpc[rpc][file].add(row_of(test))
    lines = ["| rpc | cases |", "| --- | --- |"]
    for service in SERVICES:
        for method in service.methods:
            files = by_rpc[f"{service.name}/{method.name}"]
            cells = [f"`{file}` {', '.join(sorted(filter(None, rows), key=order))}".rstrip() for file, rows in sorted(files.items())]
            lines.append(f"| {service.name}.{method.name} | {'; '.join(cells)} |")
    lines += ["", "| row | in |", "| --- | --- |"]
    lines += [f"| {row} | {', '.join(sorted(files))} |" for row, files in sorted(by_row.items(), key=lambda item: order(item[0]))]
    return "\n".join(lines)


def order(row: str) -> tuple[str, int]:
    letter, _, number = row.partition("-")
    return letter, int(number)


if __name__ == "__main__":
    print(page_tables())
