"""The settings: flags over ``CAVECAST_…`` in the environment over a TOML file, read once, at the edge.

The result is a frozen record that is passed in; no module reads the environment.  A value that is
wrong is named together with the place that it came from.  ``docs/settings.md`` describes each.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "CAVECAST_"
CONFIG = f"{PREFIX}CONFIG"
DEFAULT_FILE = "cavecast.toml"


class WrongSetting(ValueError):
    """A setting that cannot be used: what is wrong with it, and where it came from."""

    exit_code = 2


class Settings(BaseSettings):
    """What can be set, whichever command reads it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: Annotated[
        str, Field(description="The address that `cavecast serve` listens on; beyond loopback only with `access`.")
    ] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Its port; 0 takes a free one.")] = 8750
    dir: Annotated[
        Path | None,
        Field(description="Folder for the logs of runs; without it a private temporary one, removed at the end."),
    ] = None
    database: Annotated[
        str | None,
        Field(
            max_length=1024,
            description="Where runs are written down, `sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME` "
            "(extra `[postgresql]`); without it a SQLite file `cavecast.db` in `dir`.",
        ),
    ] = None
    access: Annotated[
        Path | None,
        Field(description="A TOML file that says who may (see [security.md](security.md)); without it there is no "
              "login, and `host` must be loopback."),
    ] = None  # fmt: skip
    public_url: Annotated[
        str | None,
        Field(
            max_length=1024,
            description="The address by which browsers reach the server, a proxy's prefix included; needed beyond "
            "loopback.",
        ),
    ] = None
    tls_cert: Annotated[Path | None, Field(description="A certificate with its chain (PEM), to listen with TLS.")] = (
        None
    )
    tls_key: Annotated[Path | None, Field(description="The key of `tls_cert` (PEM).")] = None
    trusted_proxies: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="Networks of proxies, divided by commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` are "
            "believed.",
        ),
    ] = None
    plain_http: Annotated[
        bool,
        Field(description="Listen beyond loopback without TLS and without a trusted proxy, or send tokens so; unsafe."),
    ] = False
    proxy_login: Annotated[
        bool,
        Field(description="The proxy at `public_url` lets nobody by but whom the server is for, as JupyterHub does, so "
              "that no `access` is needed; `host` must be loopback."),
    ] = False  # fmt: skip
    launcher: Annotated[
        Literal["local", "kubernetes"],
        Field(description="Where runs are: processes of this machine, or objects of a cluster (extra `[k8s]`)."),
    ] = "local"
    cluster: Annotated[
        Path | None,
        Field(description="The site's file (TOML), for `launcher` `kubernetes`: see docs/cluster.md."),
    ] = None
    kubeconfig: Annotated[
        Path | None,
        Field(description="How the cluster is reached; without it `KUBECONFIG`, then as a pod, then `~/.kube/config`."),
    ] = None
    kube_context: Annotated[
        str | None, Field(max_length=255, description="Which context of it; its current one if not given.")
    ] = None
    leader_lease: Annotated[
        str | None,
        Field(
            max_length=317,
            pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
            description="`NAMESPACE/NAME` of the Lease by which control planes of a cluster agree on who leads, in "
            "place of the site's `[lease]`; the chart sets it, as it gives the right to that one.",
        ),
    ] = None
    run_namespaces: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="Namespaces in which there are rights to have runs, divided by commas: a site or a project "
            "that names another one is refused at the start. The chart sets it.",
        ),
    ] = None
    parts_host: Annotated[
        str | None,
        Field(
            max_length=255,
            description="The address at which parts of runs listen, on ports of their own; without it they meet in "
            "sockets in the run's folder. Beyond loopback they need `run_keys`.",
        ),
    ] = None
    run_keys: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="`auto`: new keys for each run, in its folder `keys`; or a folder that `cavecast keys` has "
            "made. Without it parts have none.",
        ),
    ] = None
    workers: Annotated[int, Field(ge=1, le=256, description="Workers of a run that does not say how many.")] = 2
    max_workers: Annotated[int, Field(ge=1, le=256, description="The most workers that one run may ask for.")] = 32
    max_runs: Annotated[
        int,
        Field(
            ge=1, le=1000, description="Runs that may be at work at a time; as many that are over may still be served."
        ),
    ] = 8
    max_queued: Annotated[
        int, Field(ge=0, le=10_000, description="Runs that may wait for room when `max_runs` are at work.")
    ] = 1000
    max_inspections: Annotated[int, Field(ge=1, le=64, description="Inputs that are looked at at the same time.")] = 4
    ready_s: Annotated[float, Field(gt=0, le=600, description="Seconds in which a part must say that it is ready.")] = (
        60.0
    )
    stop_s: Annotated[
        float, Field(gt=0, le=60, description="Seconds between asking a part to end and ending it without asking.")
    ] = 1.0
    durability: Annotated[
        Literal["written", "group", "each"],
        Field(description="When a chunk is acknowledged: `written`, or flushed in a `group` or by itself (`each`)."),
    ] = "written"
    wall_screens: Annotated[
        Literal["auto", "windows", "none"],
        Field(
            description="Where the tiles of walls are shown: in `windows` on the X screens that the wall's file names, "
            "or `none`, in memory; `auto`: in windows if the variable `DISPLAY` is set."
        ),
    ] = "auto"
    wall_deadline_ms: Annotated[
        float,
        Field(ge=1, le=60_000, description="A tile that is not ready after so long is left out of a wall's frame."),
    ] = 250.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least important lines that are logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "human", "json"], Field(description="`auto`: for people on a terminal, JSON otherwise.")
    ] = "auto"

    @property
    def offscreen(self) -> bool:
        """Whether the tiles of walls have no windows."""
        return self.wall_screens == "none" or (self.wall_screens == "auto" and not os.environ.get("DISPLAY"))

    @field_validator("dir", "access", "tls_cert", "tls_key", "cluster", "kubeconfig")
    @classmethod
    def _at_home(cls, path: Path | None) -> Path | None:
        try:
            return path and path.expanduser()
        except RuntimeError as why:
            raise ValueError(f"{why}") from None


def read(flags: Mapping[str, object], config: Path | None = None) -> Settings:
    """The settings.  Flags that are None were not given.  Raises WrongSetting."""
    path = _file(config)
    if path is not None and not path.is_file():
        raise WrongSetting(f"there is no settings file {path}")

    class Here(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            file = (TomlConfigSettingsSource(settings_cls, path),) if path else ()
            return init_settings, env_settings, *file

    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Here(**given)
    except ValidationError as why:
        first = why.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise WrongSetting(
                f"{name} in {path} is no setting; there are {', '.join(Settings.model_fields)}"
            ) from None
        said = first["msg"][:1].lower() + first["msg"][1:]
        raise WrongSetting(f"{origin(name, given, config)} is {first['input']!r}: {said}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as why:
        raise WrongSetting(f"the settings file {path} cannot be read as TOML: {why}") from None


def origin(name: str, flags: Mapping[str, object], config: Path | None = None) -> str:
    """Where the setting of that name comes from, as one would call the place."""
    if flags.get(name) is not None:
        return f"--{name.replace('_', '-')}"
    variable = PREFIX + name.upper()
    for given, value in os.environ.items():
        if given.upper() == variable and value:  # pydantic-settings takes them in small letters too
            return f"{given} in the environment"
    path = _file(config)
    return f"{name} in {path}" if path is not None else name


def environment(flags: Mapping[str, object], config: Path | None = None) -> dict[str, str]:
    """What a child process must find in its environment to read the same settings."""
    found = {PREFIX + name.upper(): str(value) for name, value in flags.items() if value is not None}
    return found if config is None else {**found, CONFIG: str(config.absolute())}


def _file(config: Path | None) -> Path | None:
    if config is not None:
        return config
    if named := os.environ.get(CONFIG):
        return Path(named)
    return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
