"""Flags over the environment over a file; a wrong one is named with where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.settings import Settings, WrongSetting, environment, read


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "config"):
        monkeypatch.delenv(f"CAVECAST_{name.upper()}", raising=False)


def file(text: str) -> Path:
    path = Path("here.toml").absolute()
    path.write_text(text)
    return path


def test_a_flag_counts_more_than_the_environment_and_that_more_than_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config = file("workers = 3\nport = 1003\nmax_runs = 3")
    monkeypatch.setenv("CAVECAST_PORT", "1002")
    monkeypatch.setenv("CAVECAST_WORKERS", "2")
    found = read({"workers": 1, "port": None}, config)
    assert (found.workers, found.port, found.max_runs) == (1, 1002, 3)


def test_without_anything_the_defaults_hold() -> None:
    assert read({}).model_dump() == Settings.model_construct().model_dump()


def test_the_file_is_found_by_the_environment_and_by_its_usual_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVECAST_CONFIG", str(file("workers = 7")))
    assert read({}).workers == 7
    monkeypatch.delenv("CAVECAST_CONFIG")
    Path("cavecast.toml").write_text("workers = 8")
    assert read({}).workers == 8


def test_a_wrong_setting_is_named_with_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongSetting, match=r"^--port is 70000: "):
        read({"port": 70000})
    with pytest.raises(WrongSetting, match=r"^workers in .*here\.toml is 'many': "):
        read({}, file("workers = 'many'"))
    monkeypatch.setenv("CAVECAST_LOG_LEVEL", "loud")
    with pytest.raises(WrongSetting, match=r"^CAVECAST_LOG_LEVEL in the environment is 'loud': .*'debug'"):
        read({})


@pytest.mark.parametrize("variable", ["CAVECAST_PORT", "cavecast_port"])
def test_a_variable_is_named_as_it_is_written(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "many")
    with pytest.raises(WrongSetting, match=rf"^{variable} in the environment is 'many': "):
        read({})


def test_what_a_flag_replaces_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVECAST_PORT", "many")
    assert read({"port": 0}).port == 0


def test_children_read_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cavecast.toml").write_text("workers = 'many'")
    flags, config = {"port": 0, "host": None, "log_level": "debug"}, file("workers = 3\nport = 9")
    monkeypatch.setenv("CAVECAST_PORT", "many")
    ours = read(flags, config)
    for name, value in environment(flags, config).items():
        monkeypatch.setenv(name, value)
    assert read({}).model_dump() == ours.model_dump()
    assert (ours.port, ours.workers, ours.log_level) == (0, 3, "debug")


def test_a_folder_may_be_given_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read({}, file("dir = '~/runs'")).dir == tmp_path / "runs"


@pytest.mark.parametrize("text", ["wrokers = 3", "workers = ", "workers = \x00"])
def test_a_file_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(WrongSetting, match=r"here\.toml"):
        read({}, file(text))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(WrongSetting, match=r"no settings file .*nowhere\.toml"):
        read({}, Path("nowhere.toml").absolute())


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read({}).port = 1
