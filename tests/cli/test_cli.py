"""The one command: quick to explain itself, one sentence when something is wrong, and the right exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from streamer.cli import COMMANDS, load
from tests.control.parts import CAVECAST, DEADLINE_S, ended, environment, start, volume
from tests.ending import ending, line_within, tied

QUICK_S = 0.4


def cavecast(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAVECAST, *arguments], capture_output=True, text=True, env=environment(**variables), check=False,
        timeout=DEADLINE_S,
    )  # fmt: skip


def test_help_is_quick_and_names_every_command() -> None:
    """CPU time, and the best of three, since the machine may be busy."""
    took = []
    for _ in range(3):
        before = os.times()
        done = cavecast("--help", COLUMNS="120")
        after = os.times()
        took.append(after.children_user - before.children_user + after.children_system - before.children_system)
        assert done.returncode == 0
    assert min(took) <= QUICK_S
    for name, lazy in COMMANDS.items():
        assert name in done.stdout
        assert lazy.help in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_leaves_it_to_the_terminal_where_lines_break(name: str) -> None:
    assert load(name).help
    assert all("\n" not in paragraph for paragraph in load(name).help.split("\n\n"))


def test_help_loads_no_library_of_a_part() -> None:
    code = (
        "import sys; sys.argv = ['cavecast', '--help']\n"
        "from streamer.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'zmq', 'fastapi', 'xarray', 'vtkmodules', 'structlog')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [CAVECAST.parent / "python", "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    assert done.stdout.rstrip().endswith("[]")


def test_without_arguments_the_overview_is_shown() -> None:
    done = cavecast()
    assert done.returncode == 0
    assert "cavecast demo" in done.stdout


def test_the_version_is_one_line() -> None:
    assert cavecast("--version").stdout.startswith("cavecast 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = cavecast(name, "--help", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    assert f"cavecast {name}" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    for parameter in load(name).params:
        assert getattr(parameter, "help", None), f"cavecast {name}: {parameter.name} has no help"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dmo"], "No such command 'dmo'. Did you mean 'demo'?"),
        (["run"], "Missing argument 'INPUT'"),
        (["run", "x.nc", "--bogus"], "No such option: --bogus"),
        (["run", "x.nc", "--threshold", "high"], "Invalid value for '--threshold'"),
        (["run", "x.nc", "--chunk", "1,2"], "--chunk 1,2 is not three whole numbers above 0"),
        (["run", "x.nc", "--chunk", "1,2,0.5"], "--chunk 1,2,0.5 is not three whole numbers above 0"),
        (["run", "x.npy", "--spacing", "1,nan,1"], "--spacing 1,nan,1 is not three numbers above 0"),
        (
            ["run", "x.nc", "--threshold", "1", "--set", "threshold=2"],
            "--threshold and --set threshold=… say the same twice: give one of them",
        ),
        (["run", ""], "INPUT is empty"),
        (["demo", "--sample", "clouds"], "there is no sample 'clouds'; there are rivers, flood2021, blocking1980"),
        (["demo", "--segmenter", "magic"], "the demo has no segmenter 'magic'; there are ffn and connect"),
        (["demo", "--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = cavecast(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cavecast: {sentence}")
    assert done.stderr.count("\n") == 1


def test_an_error_of_our_own_is_logged_with_where_it_was_and_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def command() -> None:\n    '''Broken.'''\n    raise KeyError('chunk')\n")
    code = (
        "import sys; sys.argv = ['cavecast', 'samples']\n"
        "from streamer import cli\n"
        "cli.COMMANDS['samples'] = cli.COMMANDS['samples']._replace(target='broken:command')\n"
        "cli.main()"
    )
    done = subprocess.run(
        [CAVECAST.parent / "python", "-c", code],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=str(tmp_path)),
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 1
    log, said = done.stderr.splitlines()
    assert "broken.py" in log
    assert said == "cavecast: an error that should not have happened: KeyError: 'chunk'"


def test_serve_takes_its_flags_over_what_is_wrong_elsewhere_and_so_do_its_parts(tmp_path: Path) -> None:
    (tmp_path / "cavecast.toml").write_text("workers = 'many'")
    (tmp_path / "good.toml").write_text("workers = 1")
    server = subprocess.Popen(
        tied(CAVECAST, "serve", "--port", "0", "--config", "good.toml"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
        env=environment(CAVECAST_PORT="any"),
    )
    with (
        ending(server),
        httpx.Client(base_url=json.loads(line_within(server.stdout))["url"], timeout=DEADLINE_S) as client,
    ):
        asked = {"input": str(volume(tmp_path / "v.npy")), "threshold": 0.5, "view": False}
        run = ended(client, start(client, **asked)["run_id"])
    assert (run["state"], run["workers"], run["restarts"]) == ("complete", 1, {}), run["error"]


def test_an_address_beyond_this_machine_is_refused_with_where_it_came_from() -> None:
    done = cavecast("serve", "--port", "0", CAVECAST_HOST="0.0.0.0")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "cavecast: CAVECAST_HOST in the environment is 0.0.0.0, which other machines can reach"
    )


def test_a_command_is_completed_by_the_shell() -> None:
    done = cavecast(
        _CAVECAST_COMPLETE="complete_bash",
        COMP_WORDS="cavecast ser",
        COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="cavecast ser",
    )
    assert done.stdout.split() == ["serve"]


def test_an_option_is_completed_by_the_shell() -> None:
    line = "cavecast run x.nc --thr"
    done = cavecast(_CAVECAST_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD="3", _TYPER_COMPLETE_ARGS=line)
    assert "--threshold" in done.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [CAVECAST, "--help"], stdout=write, stderr=subprocess.PIPE, env=environment(), check=False, timeout=DEADLINE_S
    )
    os.close(write)
    assert b"Traceback" not in done.stderr


def test_ctrl_c_ends_a_command_with_130_and_no_traceback() -> None:
    server = subprocess.Popen(
        tied(CAVECAST, "serve", "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(),
    )  # fmt: skip
    with ending(server, signal.SIGKILL):
        line_within(server.stdout)
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 130
    assert "Traceback" not in err
