"""What waits in the tests waits with a limit, and says what it waited for."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.ending import end, ending, in_time, line_within, lines_within

TESTS = Path(__file__).parent
STUBBORN = (
    "import faulthandler, signal, sys, threading\n"
    "faulthandler.enable()\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "def stands_here(): threading.Event().wait()\n"
    "print('up', flush=True)\n"
    "stands_here()\n"
)


def python(code: str, *, err: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=err, text=True)


RUNS = {"run", "call", "check_call", "check_output"}


def endless(tree: ast.AST) -> Iterator[ast.expr]:
    """What in a module waits for a process without limit."""
    for node in ast.walk(tree):
        match node:
            case ast.With():
                for item in node.items:
                    if ast.unparse(item.context_expr).startswith("subprocess.Popen("):
                        yield item.context_expr
            case ast.Call(func=ast.Attribute(value=ast.Name("subprocess"), attr=called)) if called in RUNS:
                if not limited(node):
                    yield node
            case ast.Call(func=ast.Attribute(attr="communicate")):
                if not limited(node):
                    yield node
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="stdout" | "stderr"), attr="readline")):
                yield node


def limited(call: ast.Call) -> bool:
    return any(one.arg in ("timeout", None) for one in call.keywords)


def test_no_test_waits_for_a_process_without_limit() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{one.lineno}: {ast.unparse(one)[:80]}"
        for path in sorted(TESTS.rglob("*.py"))
        if "node_modules" not in path.parts
        for one in endless(ast.parse(path.read_text()))
    ]
    assert not found, "give it a timeout, or take ending(), line_within() of tests/ending.py:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "code",
    ["subprocess.run(['ls'])", "p.communicate()", "p.stdout.readline()", "with subprocess.Popen('ls') as p: pass"],
)
def test_what_waits_without_limit_is_found(code: str) -> None:
    assert len(list(endless(ast.parse(code)))) == 1


def test_who_does_not_end_is_killed_and_shown_with_its_stacks() -> None:
    process = python(STUBBORN)
    assert line_within(process.stdout) == "up\n"
    with pytest.raises(AssertionError, match=r"(?s)did not end within 0\.1 s after SIGTERM.*stands_here"):
        end(process, within_s=0.1)
    assert process.returncode == -signal.SIGABRT
    assert process.stdout is not None
    assert process.stdout.closed


def test_who_is_stopped_is_killed_too_and_its_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        process = python(f"import os; os.write(2, b'my last words')\n{STUBBORN}", err=file.fileno())
    line_within(process.stdout)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(AssertionError, match="my last words"):
        end(process, within_s=0.1, log=log)
    assert process.returncode in (-signal.SIGABRT, -signal.SIGKILL)


def test_who_says_much_while_it_ends_is_read() -> None:
    process = python("import sys; print('x' * 500_000, file=sys.stderr); print('y' * 500_000)")
    assert end(process, None) == 0


def test_a_pipe_that_a_grandchild_holds_is_not_waited_for() -> None:
    wait = "import threading; threading.Event().wait()"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {wait!r}]).pid, flush=True); {wait}"
    process = python(code)
    child = psutil.Process(int(line_within(process.stdout)))
    try:
        assert end(process, signal.SIGKILL) == -signal.SIGKILL
        assert child.is_running()
    finally:
        child.kill()


def test_who_says_nothing_is_waited_for_as_long_as_was_said() -> None:
    process = python(STUBBORN)
    with ending(process, signal.SIGKILL):
        assert line_within(process.stdout) == "up\n"
        with pytest.raises(AssertionError, match=r"nothing was said within 0\.05 s"):
            line_within(process.stdout, 0.05)
        with pytest.raises(AssertionError, match="nothing was said"):
            list(lines_within(process.stdout, 0.05))


def test_events_that_go_on_without_what_is_waited_for_fail_with_the_last_record() -> None:
    def events() -> Iterator[str]:
        yield 'data: {"state":"running"}'
        while True:
            yield ": still there"

    with pytest.raises(AssertionError, match="running"):
        list(in_time(events(), 0.01))
    assert list(in_time(["data: 1", ""], 10)) == ["data: 1", ""]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is told that a parent has gone")
def test_a_server_of_a_test_that_was_killed_ends() -> None:
    code = (
        "import subprocess, threading\n"
        "from tests.ending import tied\n"
        "child = subprocess.Popen(tied('sleep', 600))\n"
        "print(child.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=TESTS.parent)
    with ending(process, signal.SIGKILL):
        child = psutil.Process(int(line_within(process.stdout)))
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone
