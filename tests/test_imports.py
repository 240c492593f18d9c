"""Imports go down only, and packages meet in `streamer.wire` alone.

Each module of the four packages is given its floor below; a module without one fails, so that whoever
adds a room says on which floor it is.  The imports are read from the source, those inside functions too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("streamer", "renderers", "inference_workers", "display_clients")

LANGUAGE, DECISION, ENGINE, SHELL, COMMAND = range(5)
LANGUAGE_LIBRARIES = {"numpy", "msgspec", "zstandard", "google_crc32c"}
DECISION_LIBRARIES = LANGUAGE_LIBRARIES | {"scipy", "cc3d", "cftime"}
"""cc3d labels arrays, as scipy does, and cftime reckons with calendars: arithmetic without state."""
IMPURE = {"socket", "asyncio", "time", "os", "threading", "subprocess", "signal", "selectors", "multiprocessing"}
"""What a decision does not touch of the standard library: sockets, clocks, the environment, processes."""

FLOORS: dict[str, int] = {}


def put(floor: int, package: str, names: str) -> None:
    FLOORS.update({f"{package}.{name}".removesuffix(".__init__"): floor for name in names.split()})


put(LANGUAGE, "streamer.wire", "__init__ batch follow grid volume messages header status codec block view colour")
put(
    DECISION,
    "streamer",
    "__init__ seams merges objects assembly leases cursor pace feed record workers hub status subscriber manners",
)
put(DECISION, "streamer", "relay index focus measures")
put(LANGUAGE, "streamer.wire", "layers viewing steps spelling conducting walls looking")
put(DECISION, "streamer.archive", "__init__ follow tables")
put(DECISION, "inference_workers.source", "extent")
put(DECISION, "streamer.archive", "shards")
put(ENGINE, "streamer.archive", "calendar layout place bucket there left store check")
put(SHELL, "streamer.archive", "writer node")
put(COMMAND, "streamer.archive", "main")
put(LANGUAGE, "streamer.wire", "keys line")
put(DECISION, "streamer", "figures")
put(ENGINE, "streamer", "exposition")
put(SHELL, "streamer", "doors dial")
put(SHELL, "renderers", "door")
put(COMMAND, "streamer", "keys")
put(DECISION, "streamer", "durable retention")
put(ENGINE, "streamer", "log segment ahead layout lean opening recent hold flush keyring")
put(DECISION, "streamer", "relay_figures")
put(ENGINE, "streamer.control", "roles")
put(SHELL, "streamer", "node keeper relay_disk relay_source relay_node")
put(ENGINE, "streamer", "lifeline logs settings run.__init__ run.progress")
put(DECISION, "streamer.control", "__init__ runs lives parts script queueing usage report")
put(DECISION, "streamer.control.cluster", "__init__ names plan quantity affinity pods commands root streaming jobs")
put(DECISION, "streamer.control.cluster", "seating walls serving policies objects changes observed readable refusals")
put(
    ENGINE,
    "streamer.control",
    "killing proc schema metrics pages openapi folder booking database books said object_tables",
)
put(DECISION, "streamer.control", "onwall seats view_roles view_seats")
put(ENGINE, "streamer.control", "this_machine wall_books view_books examples wall_examples")
put(ENGINE, "streamer.control.migrations", "versions.step_0003_walls")
put(SHELL, "streamer.control", "showing")
put(SHELL, "streamer.control", "wall_link wall_scrutiny hanging identify targets shared_views wall_routes view_routes")
put(SHELL, "streamer.control", "patterns view_lines view_keeping permits")
put(ENGINE, "streamer.control.migrations", "__init__ env versions.__init__ versions.step_0001_runs")
put(ENGINE, "streamer.control.migrations", "versions.step_0002_access versions.step_0004_samples")
put(SHELL, "streamer.control", "leading launcher link dealer relay launching local local_launcher past desk scrutiny")
put(SHELL, "streamer.control", "news crew gauge local_doors local_walls roster admission registry")
put(SHELL, "streamer.control", "answers security app launchers")
put(SHELL, "streamer.control", "waiting queue place_lock standby last_moment")
put(SHELL, "streamer.control", "sampling telling run_routes object_routes catalog_routes")
put(COMMAND, "streamer.control", "main")
put(DECISION, "streamer.control.access", "__init__ people operations rules quotas limits tokens sessions claims places")
put(DECISION, "streamer.control.access", "shown")
put(ENGINE, "streamer.control.access", "config signatures issuer ledger")
put(SHELL, "streamer.control.access", "diary door guard project_routes login_routes")
put(DECISION, "streamer.control.cluster", "hearing troubles")
put(ENGINE, "streamer.control.cluster", "connections engine")
put(DECISION, "streamer.control.cluster", "standing memories people tidying lease reach facts wall_states")
put(ENGINE, "streamer.control.cluster", "site planning logs")
put(SHELL, "streamer.control.cluster", "following surroundings living launcher leadership hand doors spoken taking")
put(SHELL, "streamer.control.cluster", "nodes on_walls pattern upkeep")
put(DECISION, "streamer.run", "given outcome showcase")
put(SHELL, "streamer.run", "server elsewhere course")
put(ENGINE, "streamer", "credentials device signed")
put(SHELL, "streamer", "client client_walls")
put(COMMAND, "streamer.run", "commands manage manage_walls manage_views login audit")
put(DECISION, "display_clients", "__init__")
put(COMMAND, "streamer", "main relay_main cli")
put(
    DECISION,
    "renderers",
    "__init__ look scene camera frames follow geometry axes coast layout legend soften slices sheet staging hues",
)
put(DECISION, "renderers.wall", "__init__ records projection pinhole sight stereo stitch pattern proof sample")
put(DECISION, "renderers.wall", "axes schema grid complaint file write presets.__init__ tagsoup calvr_lookup")
put(DECISION, "renderers.wall", "calvr_tracking calvr paraview findings check_room check_outputs check")
put(DECISION, "renderers.wall", "describe coverage facing neighbours unroll ink plan")
put(ENGINE, "renderers.wall", "shelf raster")
put(COMMAND, "renderers.wall", "commands telling")
put(DECISION, "renderers.wall", "barrier chairs marks messages framing register seat sites")
put(DECISION, "renderers.wall", "burn figures scenery fitting gait reel keyboard picking followers windows seating")
put(ENGINE, "renderers.wall", "exposition swap_group")
put(DECISION, "renderers", "pick reading objects")
put(ENGINE, "renderers", "vtk_chunks vtk_carpet")
put(ENGINE, "renderers", "vtk_twin vtk_note vtk_keys")
put(SHELL, "renderers.wall", "held intake call leader senses post conductor studio glass verify standing tile")
put(COMMAND, "renderers.wall", "main")
put(DECISION, "renderers.wall.track", "__init__ sensed turns calibrate smooth body poses wand record")
put(DECISION, "renderers.wall.track", "address dtrack gamepad mouse drag vrpn")
put(ENGINE, "renderers.wall.track", "osc")
put(SHELL, "renderers.wall.track", "ports vrpn_port listen tape")
put(ENGINE, "renderers", "vtk_tile vtk_pattern vtk_ground vtk_field vtk_layers colours")
put(ENGINE, "renderers", "dates picture vtk_window vtk_surface vtk_stage vtk_decor vtk_letters vtk_words vtk_scene")
put(ENGINE, "renderers", "vtk_queue notebook")
put(SHELL, "renderers", "feed captions show node signals trial post finishing easel")
put(COMMAND, "renderers", "main")
put(DECISION, "inference_workers", "__init__ segmenter connect statistics session")
put(DECISION, "inference_workers.ffn", "settings model moves quantise consensus canvas seeds batching chunks reconcile")
put(SHELL, "inference_workers", "node chunk")
put(COMMAND, "inference_workers", "main commands")
put(ENGINE, "inference_workers", "cores")
put(DECISION, "inference_workers.ffn", "structure checkpoint choice")
put(ENGINE, "inference_workers.ffn", "network file backend_openvino remarks")
put(SHELL, "inference_workers.ffn", "__init__ loading segmenter")
put(COMMAND, "inference_workers.ffn", "commands")
put(DECISION, "inference_workers.ffn", "sampling augment training training_row training_choice parts rounding")
put(ENGINE, "inference_workers.ffn", "network_training training_state demo_model")
put(SHELL, "inference_workers.ffn", "pipeline training_data training_loop training_task")
put(COMMAND, "inference_workers.ffn", "train_command")
put(DECISION, "inference_workers.ffn", "measures components lives scores domain pictures report report_style")
put(SHELL, "inference_workers.ffn", "labelled evaluation report_pictures")
put(COMMAND, "inference_workers.ffn", "evaluate_command sweep_command")
put(DECISION, "inference_workers.ffn", "sweep sweep_report")
put(ENGINE, "inference_workers.ffn", "study")
put(SHELL, "inference_workers.ffn", "sweep_trial sweep_work")
put(ENGINE, "inference_workers", "samples")
put(DECISION, "inference_workers.source", "records times cells pieces cf choose axes joined")
put(ENGINE, "inference_workers.source", "address engine_array engine_netcdf engine_xarray")
put(SHELL, "inference_workers.source", "__init__ opened scan inspection")
put(DECISION, "renderers", "coarse detail entries link audience pointing glance shared seating present keeping")
put(LANGUAGE, "streamer.wire", "presence camera keeping")
put(ENGINE, "renderers", "bell stored shelf")
put(DECISION, "renderers", "flow chains shots orders")
put(ENGINE, "renderers", "video film")
put(SHELL, "renderers", "darkroom")
put(LANGUAGE, "streamer.wire", "taking")
put(SHELL, "streamer.control", "taking picture_routes")


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(name: str, path: Path) -> set[str]:
    """All that a module names in import statements, as absolute dotted names (modules where they are ours)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import; write the package's name"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return found


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_what_lies_below_it(name: str) -> None:
    assert name in FLOORS, f"{name} stands on no floor: say in this test which one"
    floor, package = FLOORS[name], name.partition(".")[0]
    for other in imports(name, MODULES[name]):
        top = other.partition(".")[0]
        if top in PACKAGES:
            wire = other == "streamer.wire" or other.startswith("streamer.wire.")
            meets = top == package or wire or (package == "display_clients" and top == "renderers")
            assert meets, f"{name} imports {other}: packages meet in streamer.wire only"
            assert FLOORS.get(other, COMMAND) <= floor, f"{name} (floor {floor}) imports {other}, which is above it"
        elif top in sys.stdlib_module_names:
            # The codec keeps one compressor for each thread; it starts none.
            assert floor > DECISION or top not in IMPURE or (name, top) == ("streamer.wire.codec", "threading"), (
                f"{name} decides, so it may not import {top}"
            )
        else:
            allowed = {LANGUAGE: LANGUAGE_LIBRARIES, DECISION: DECISION_LIBRARIES}.get(floor)
            assert allowed is None or top in allowed, f"{name} (floor {floor}) imports {top}"


@pytest.mark.parametrize(("library", "rooms"), [
    ("vtkmodules", "renderers.vtk_ renderers.coast"),
    ("vtk", ""),
    ("pyvista", "renderers.notebook"),
    ("tensorflow", "inference_workers.ffn.network"),
    ("keras", "inference_workers.ffn.network"),
    ("openvino", "inference_workers.ffn.backend_openvino"),
    ("optuna", "inference_workers.ffn.study"),
    ("xarray", "inference_workers.source streamer.archive renderers.notebook"),
    ("netCDF4", "inference_workers.source.engine_"),
    ("zarr", "inference_workers.source streamer.archive"),
    ("kubernetes", "streamer.control.cluster.engine"),
    ("joserfc", "streamer.control.access.signatures"),
])  # fmt: skip
def test_a_large_library_is_known_in_its_own_rooms_only(library: str, rooms: str) -> None:
    users = {name for name, path in MODULES.items() if library in {i.partition(".")[0] for i in imports(name, path)}}
    assert all(name.startswith(tuple(rooms.split())) for name in users), sorted(users)


def test_nothing_stands_on_a_floor_that_is_not_there() -> None:
    assert set(FLOORS) <= set(MODULES), sorted(set(FLOORS) - set(MODULES))


def test_no_package_has_a_utils() -> None:
    assert not [name for name in MODULES if name.rpartition(".")[2] in ("utils", "util", "helpers", "common", "misc")]
