"""Wall files over HTTP: kept, looked at, drawn, changed and removed; what is wrong is said in a sentence."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.control.parts import CAVECAST, DEADLINE_S, control_plane, environment
from tests.control.wall_files import detail, put, slow_walls, wall

SHARED = Path(__file__).parents[2].parent / "shared" / "walls"
WALLS = "/api/v1/walls"
ODD = """name = "x"
[[screens]]
name = "s"
centre = [0, 0, -9000]
size = [100, 100]
node = "a\\u0007b"
pixels = [160, 160]
"""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with slow_walls() as (client, _):
        yield client


def test_a_wall_is_kept_looked_at_changed_and_removed(client: httpx.Client) -> None:
    text = wall("lab", more='[selector]\nlabels = { zone = "lab" }\ntolerations = ["a=b"]\nexpected_nodes = 3\n')
    answer = client.post(WALLS, content=text)
    assert answer.status_code == 201, answer.text
    assert (answer.headers["location"], answer.headers["etag"]) == (f"{WALLS}/lab", '"1"')
    assert client.get(f"{WALLS}/lab").json() == answer.json()
    kept = answer.json()
    facts = kept["facts"]
    assert (facts["labels"], facts["tolerations"], facts["expected_nodes"]) == ({"zone": "lab"}, ["a=b"], 3)
    assert facts["size_mm"] == [2042.0, 573.0, 0.0]
    assert [(seat["seat"], seat["state"], seat["tiles"]) for seat in kept["seats"]] == [
        ("p-0-0", "ready", ["p-0-0"]), ("p-0-1", "ready", ["p-0-1"])
    ]  # fmt: skip
    assert kept["nodes"][0]["ready"] is True
    (entry,) = [one for one in client.get(WALLS).json() if one["name"] == "lab"]
    assert (entry["tiles"], entry["nodes"], entry["run_id"]) == (2, 2, None)
    file = client.get(f"{WALLS}/lab/file")
    assert (file.text, file.headers["content-type"], file.headers["etag"]) == (text, "application/toml", '"1"')
    assert "there is a wall lab already" in detail(client.post(WALLS, content=text), 409)
    wider = wall("lab", columns=4)
    changed = client.put(f"{WALLS}/lab", content=wider, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["facts"]["screens"]) == (200, '"2"', 4)
    assert changed.json()["created"] == kept["created"]
    stale = client.put(f"{WALLS}/lab", content=text, headers={"If-Match": '"1"'})
    assert "wall lab is of generation 2, not 1" in detail(stale, 412)
    assert "of generation 2, not 1" in detail(client.delete(f"{WALLS}/lab", headers={"If-Match": '"1"'}), 412)
    assert client.get(f"{WALLS}/lab/file").text == wider
    assert client.delete(f"{WALLS}/lab", headers={"If-Match": '"2"'}).status_code == 204
    assert "there is no wall lab" in detail(client.get(f"{WALLS}/lab"), 404)
    assert "there is no wall lab" in detail(client.delete(f"{WALLS}/lab"), 404)
    assert "is not there any more, not 2" in detail(
        client.put(f"{WALLS}/lab", content=text, headers={"If-Match": '"2"'}), 412
    )
    assert client.put(f"{WALLS}/lab", content=text).status_code == 201
    assert client.delete(f"{WALLS}/lab").status_code == 204


def test_a_wall_is_drawn_as_the_command_draws_it(client: httpx.Client, tmp_path: Path) -> None:
    put(client, wall("drawn"))
    (tmp_path / "drawn.toml").write_text(wall("drawn"))
    out = tmp_path / "drawn.svg"
    done = subprocess.run(
        [CAVECAST, "wall", "draw", str(tmp_path / "drawn.toml"), "-o", str(out)],
        env=environment(),
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0
    picture = client.get(f"{WALLS}/drawn/picture")
    assert (picture.headers["content-type"], picture.content) == ("image/svg+xml", out.read_bytes())
    png = client.get(f"{WALLS}/drawn/picture", params={"format": "png"})
    if png.status_code == 501:
        assert "[png]" in png.json()["detail"]
    else:
        assert png.content.startswith(b"\x89PNG")
    assert "format is 'gif'" in detail(client.get(f"{WALLS}/drawn/picture", params={"format": "gif"}), 422)
    assert "there is no wall nobody" in detail(client.get(f"{WALLS}/nobody/picture"), 404)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "the body is empty: send a wall file"),
        (b"\xff\xfe", "the wall file is no UTF-8 text: invalid start byte at byte 0"),
        (b"name = \0", "holds a NUL character"),
        (b"not toml", "the wall file is not TOML: Expected '='"),
        (b'title = "x"', "lacks the key"),
        (b'name = "x"\ncolour = 1', "colour"),
        (b'name = "x"', "wall x would show a wrong picture or none: the wall has no screens"),
        (wall("a b").encode(), "the file calls its wall 'a b': give it a name of at most 63 letters"),
        (wall("../x").encode(), "the file calls its wall '../x'"),
        (ODD.encode(), "wall x has a node that is called 'a\\x07b'"),
        (b"a = " + b"[" * 5000, "the wall file is no"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_wall_is_refused_in_a_sentence_and_not_kept(
    client: httpx.Client, text: bytes, sentence: str
) -> None:
    said = detail(client.post(WALLS, content=text), 422)
    assert sentence in said
    assert str(Path(tempfile.gettempdir())) not in said
    assert "there is no wall x;" in detail(client.get(f"{WALLS}/x"), 404)


def test_a_file_keeps_to_its_name_and_its_size(client: httpx.Client) -> None:
    assert "the file calls its wall 'one', not 'two'" in detail(client.put(f"{WALLS}/two", content=wall("one")), 422)
    long = wall("long") + "# " + "x" * (64 << 10)
    assert "65536 are allowed" in detail(client.post(WALLS, content=long), 413)
    assert client.get(f"{WALLS}/a%20b").status_code == 422


def test_of_two_who_change_a_wall_at_once_one_is_told(client: httpx.Client) -> None:
    put(client, wall("busy"))

    def change(columns: int) -> int:
        text = wall("busy", columns)
        with httpx.Client(base_url=client.base_url, trust_env=False, timeout=DEADLINE_S) as mine:
            return mine.put(f"{WALLS}/busy", content=text, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, (1, 3, 4, 5))) == [200, 412, 412, 412]
    assert client.get(f"{WALLS}/busy").json()["generation"] == 2


def test_walls_outlive_the_control_plane(tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path))
    with control_plane(*home) as (client, _):
        put(client, wall("lasting"))
    with control_plane(*home) as (client, _):
        assert client.get(f"{WALLS}/lasting/file").text == wall("lasting")


CALVR = """<LOCAL host="elsewhere.example">
  <PipeConfig><Pipe server="0" screen="1" name="0"/></PipeConfig>
  <WindowConfig><Window width="1920" height="1080" name="0"/></WindowConfig>
  <ChannelConfig><Channel width="1920" height="1080" stereoMode="MONO" name="0"/></ChannelConfig>
  <ScreenConfig><Screen width="1600" height="900" originY="2000" name="0"/></ScreenConfig>
</LOCAL>
"""


def test_a_wall_of_another_program_is_kept_when_it_is_carried_over(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "small.xml").write_text(CALVR)
    kept = carried_over(client, tmp_path / "small.xml", tmp_path)
    assert kept is not None
    assert [(seat["host"], seat["state"]) for seat in kept["seats"]] == [("elsewhere.example", "missing")]
    assert "host elsewhere.example" in kept["sentences"][0]


@pytest.mark.skipif(not SHARED.is_dir(), reason="walls of other programs are not beside the checkout")
def test_the_walls_of_other_programs_are_kept_when_they_are_carried_over(client: httpx.Client, tmp_path: Path) -> None:
    files = sorted(SHARED.glob("*.xml"))
    assert files
    for file in files:
        if (kept := carried_over(client, file, tmp_path)) is not None:
            assert len(kept["facts"]["tiles"]) >= kept["facts"]["screens"] > 4
            away = [seat for seat in kept["seats"] if seat["state"] == "missing"]
            assert bool(away) == bool(kept["sentences"])


def carried_over(client: httpx.Client, file: Path, folder: Path) -> dict[str, Any] | None:
    """A wall of another program as the control plane keeps it; None if it has the same against it as the command."""
    out = folder / f"{file.stem}.toml"
    done = subprocess.run(
        [CAVECAST, "wall", "import", str(file), "-o", str(out)],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    answer = client.post(WALLS, content=out.read_bytes())
    if answer.status_code == 422:
        checked = subprocess.run(
            [CAVECAST, "wall", "check", str(out)],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert checked.returncode == 1, (file.name, answer.text)
        return None
    assert answer.status_code == 201, answer.text
    kept: dict[str, Any] = answer.json()
    return kept
