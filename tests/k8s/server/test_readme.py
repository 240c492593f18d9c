"""README.md lists every case that the tests prove, and no other."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent


def cases() -> dict[str, list[str]]:
    """The names of the tests as sentences, by file."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        sentences = [one.name[5:].replace("_", " ") for one in functions if one.name.startswith("test_")]
        if path != Path(__file__):
            found[path.name] = [one[0].upper() + one[1:] for one in sentences]
    return found


def test_every_case_is_in_the_readme() -> None:
    listed: dict[str, list[str]] = {}
    name = ""
    for line in (HERE / "README.md").read_text().splitlines():
        if line.startswith("### `"):
            name = line.split("`")[1]
            listed[name] = []
        elif line.startswith("#"):
            name = ""
        elif name and line.startswith("- "):
            listed[name].append(line[2:])
    assert listed == cases(), "run python -m tests.k8s.server.test_readme, and put what it prints into README.md"


if __name__ == "__main__":
    for file, sentences in cases().items():
        print(f"### `{file}`\n\n" + "\n".join(f"- {one}" for one in sentences) + "\n")
