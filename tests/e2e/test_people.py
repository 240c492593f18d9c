"""Real browsers that see each other: names, pointers, the lead that passes on, and people who follow one of them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.control.parts import DEADLINE_S, eventually
from tests.control.wall_files import SLOW, wall
from tests.e2e.test_viewers import PATIENCE_S, Plane, apart, at_rest, drag, looks, seen, soon

pytestmark = pytest.mark.browser

NAME = "localStorage.setItem('cavecast.name', {name!r})"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("people"))
    yield made
    made.kill()


class House:
    """People with browsers of their own."""

    def __init__(self, chromium: Browser, plane: Plane) -> None:
        self.chromium, self.plane = chromium, plane
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def comes(self, name: str, view: str = "", width: int = 1024) -> Page:
        """Somebody opens the run."""
        context = self.chromium.new_context(viewport={"width": width, "height": 640})
        self.contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE_S)
        if name:
            context.add_init_script(NAME.format(name=name))
        context.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        return looks(context, f"{self.plane.page}{'?view=' + view if view else ''}")

    def close(self) -> None:
        """All have gone."""
        for context in self.contexts:
            context.close()
        assert [said for said in self.complaints if not re.search("status of (403|412)", said)] == []


@pytest.fixture
def house(chromium: Browser, plane: Plane) -> Iterator[House]:
    made = House(chromium, plane)
    yield made
    made.close()


def people(page: Page) -> None:
    """Opens the list."""
    if page.locator("#people").is_hidden():
        page.locator("#people-toggle").click()


def row(page: Page, name: str) -> str:
    """The words of somebody's row, as a selector's text."""
    people(page)
    return page.locator("#people-list li", has_text=name).inner_text().replace("\n", " ")


def until_row(page: Page, name: str, words: str) -> None:
    people(page)
    expect(page.locator("#people-list li", has_text=name)).to_contain_text(words, timeout=1000 * PATIENCE_S)


def answer(page: Page, button: str, says: str) -> None:
    """Somebody answers what stands over the picture."""
    expect(page.locator("#company-text")).to_have_text(says, timeout=1000 * PATIENCE_S)
    page.locator("#company").get_by_role("button", name=button, exact=True).click()


def test_three_who_share_a_view_see_each_others_names_and_pointers(house: House) -> None:
    ada, ben, guest = house.comes("Ada", "names"), house.comes("Ben", "names", 700), house.comes("", "names")
    until_row(ben, "Ada", "leads")
    until_row(ada, "Ben", "follows")
    expect(guest.locator("#people-count")).to_have_text("3")
    expect(guest.locator("#people-toggle")).to_have_attribute("aria-label", "People: 3")
    until_row(ada, "guest", "follows")
    guest.locator("#people-toggle").click()
    guest.get_by_label("Your name").fill("  Cleo\t")
    until_row(ada, "Cleo", "follows")
    guest.reload()
    until_row(guest, "Cleo (you)", "follows")

    people(ada)
    ada.locator("#people-close").click()
    ada.mouse.move(300, 200)
    arrow = ben.locator("#pointers div")
    expect(arrow).to_have_text("Ada")
    arrow.evaluate(
        """(element) => Promise.race([
          Promise.all(element.getAnimations().map((one) => one.finished)),
          new Promise((_, fail) => setTimeout(() => fail(new Error("the page draws no more")), 60000)),
        ])"""
    )
    # The same place of the scene: as far from the middle, whatever the window's shape.
    wide, narrow = (page.locator("#picture").bounding_box() for page in (ada, ben))
    assert wide is not None
    assert narrow is not None
    there = ben.evaluate(
        """() => {
          const style = getComputedStyle(document.querySelector("#pointers div"));
          const {m41: x, m42: y} = new DOMMatrix(style.transform);
          return [x, y];
        }"""
    )
    assert there[1] == pytest.approx(200 / wide["height"] * narrow["height"], abs=2)
    shift = (300 - wide["width"] / 2) / wide["height"] * narrow["height"]
    assert there[0] == pytest.approx(narrow["width"] / 2 + shift, abs=2)
    expect(ada.locator("#pointers div")).to_have_count(0)
    ada.mouse.move(5, 200)
    ada.evaluate("document.querySelector('#picture').dispatchEvent(new PointerEvent('pointerleave'))")
    expect(arrow).to_have_count(0)


def test_the_lead_is_asked_for_and_handed_over(house: House) -> None:
    ada, ben = house.comes("Ada", "lead"), house.comes("Ben", "lead")
    until_row(ben, "Ada", "leads")
    people(ada)
    ada.get_by_role("button", name="Hand over: Ben").click()
    until_row(ben, "Ben (you)", "leads")
    until_row(ada, "Ada (you)", "follows")
    expect(ada.locator("#people-said")).to_contain_text("Ben leads.")
    people(ada)
    ada.get_by_role("button", name="Take the lead").click()
    until_row(ben, "Ada", "leads")


def test_people_with_views_of_their_own_follow_whoever_asks_them_and_leave(house: House) -> None:
    ada, ben, cleo = house.comes("Ada"), house.comes("Ben"), house.comes("Cleo")
    until_row(ada, "Cleo", "in a view of their own")
    drag(ada, 160, 40)
    aside = at_rest(ada)
    people(ada)
    ada.get_by_role("button", name="Ask others to follow me").click()
    answer(cleo, "Not now", "Ada asks you to follow.")
    before = at_rest(cleo)
    answer(ben, "Follow", "Ada asks you to follow.")
    expect(ada.locator("#company-text")).to_have_text("One person is with you.")
    soon(ben, lambda: apart(seen(ben), aside) < 2, "Ben sees what Ada sees")
    people(ada)
    ada.locator("#people-close").click()
    drag(ada, 120, -60)
    soon(ben, lambda: apart(seen(ben), aside) > 4, "and what she does")
    assert apart(at_rest(ada), at_rest(ben)) < 2
    assert apart(at_rest(cleo), before) < 1, "who declined is left alone"

    expect(ben.locator("#company-text")).to_have_text("You follow Ada.")
    theirs = at_rest(ben)
    drag(ben, -150, 30)
    expect(ben.locator("#company")).to_be_hidden()
    soon(ben, lambda: apart(seen(ben), theirs) > 4, "who takes hold of the picture sees for himself")
    expect(ada.locator("#company-text")).to_have_text("The others are asked to follow you.")
    assert apart(at_rest(ada), theirs) < 2
    people(ben)
    ben.get_by_role("button", name=re.compile("Go there: Ada")).click()
    soon(ben, lambda: apart(seen(ben), theirs) < 2, "where Ada is")
    ada.locator("#company").get_by_role("button", name="Let them go").click()
    expect(ada.locator("#company")).to_be_hidden()


@pytest.fixture(scope="module")
def with_wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plane, httpx.Client]]:
    """A run that is shown on a wall of two tiles, whose pictures stay in memory."""
    plane = Plane(tmp_path_factory.mktemp("wall"), **SLOW)
    with httpx.Client(base_url=f"{plane.url}/api/v1", timeout=DEADLINE_S, trust_env=False) as client:
        made = client.post("/walls", content=wall("cave"), headers={"content-type": "application/toml"})
        assert made.status_code == 201, made.text
        assert client.post(f"/runs/{plane.run}/walls", json={"walls": ["cave"]}).status_code == 200
        there = f"/runs/{plane.run}/views/wall.cave"
        eventually(lambda: client.get(there).status_code == 200, "the wall's conductor")
        yield plane, client
    plane.kill()


def shown_there(page: Page, client: httpx.Client, plane: Plane, so: Callable[[dict[str, Any]], bool], what: str) -> Any:
    """The wall's state, once it is so."""
    found: list[dict[str, Any]] = []

    def holds() -> bool:
        found[:] = [client.get(f"/runs/{plane.run}/views/wall.cave").json()]
        return so(found[0]["state"])

    soon(page, holds, what)
    return found[0]


def noted_of(plane: Plane) -> list[tuple[Any, ...]]:
    """What the books have noted of the wall."""
    books = sqlite3.connect(plane.folder / "cavecast.db")
    try:
        return books.execute("SELECT revision, record FROM views WHERE name = 'wall.cave'").fetchall()
    finally:
        books.close()


def test_a_wall_is_driven_from_the_page_and_its_view_taken_back(
    chromium: Browser, with_wall: tuple[Plane, httpx.Client]
) -> None:
    plane, client = with_wall
    house = House(chromium, plane)
    page = house.comes("Ada")
    first = client.get(f"/runs/{plane.run}/views/wall.cave").json()
    people(page)
    expect(page.locator("#wall-name")).to_have_value("cave")
    page.locator("label:has(input[name=mode][value=map])").click()
    page.get_by_role("button", name="Bring this view").click()
    expect(page.locator("#wall-said")).to_have_text("The wall shows this view.")
    brought = shown_there(page, client, plane, lambda state: state["mode"] == "map", "the wall's map")
    assert brought["state"]["placement"] != first["state"]["placement"]

    # Somebody else changes the wall; the page that stays with it shows that too, and what it does goes there.
    page.get_by_label("Stay together and drive it").check()
    expect(page.locator("#wall-said")).to_have_text("This page and wall cave show the same.")
    client.patch(f"/runs/{plane.run}/views/wall.cave", json={"state": {"mode": "cube", "opacity": 0.5}})
    expect(page.locator("input[name=mode][value=cube]")).to_be_checked(timeout=1000 * PATIENCE_S)
    before = shown_there(page, client, plane, lambda state: state["mode"] == "cube", "the wall's cube")
    page.locator("#people-close").click()
    drag(page, 150, 20)
    page.get_by_role("slider", name="time").fill("100")
    turned = shown_there(
        page, client, plane,
        lambda state: state["time"] == 100 and state["placement"] != before["state"]["placement"], "what the page did",
    )  # fmt: skip
    assert turned["state"]["opacity"] == 0.5, "what was changed there stays"

    # A view that somebody calls like the wall's is the browsers' own: what they do there is not the wall's.
    noted = noted_of(plane)
    assert noted
    impostor = house.comes("", "wall.cave")
    impostor.locator("label:has(input[name=mode][value=map])").click()
    drag(impostor, 90, 0)
    at_rest(impostor)
    assert noted_of(plane) == noted
    impostor.close()

    # A second page takes what the wall shows: it sees what the first one does.
    other = house.comes("Ben")
    people(other)
    other.get_by_role("button", name="Take its view").click()
    expect(other.locator("#wall-said")).to_have_text("The wall's view is here.")
    people(page)
    page.locator("#people-close").click()
    other.locator("#people-close").click()
    soon(other, lambda: apart(seen(page), seen(other)) < 2, "both show the same")

    # Somebody is quicker: what the page knows is old, so that it reads anew and changes once more.
    people(page)
    page.get_by_label("Stay together and drive it").uncheck()
    tried: list[str] = []

    def somebody_is_quicker(route: Route) -> None:
        if route.request.method == "PATCH" and "PATCH" not in tried:
            client.patch(f"/runs/{plane.run}/views/wall.cave", json={"state": {"time": 3}})
        tried.append(route.request.method)
        route.continue_()

    page.route("**/views/wall.cave", somebody_is_quicker)
    page.get_by_role("button", name="Bring this view").click()
    soon(page, lambda: tried.count("PATCH") == 2, "it is changed once more")
    assert tried[-4:] == ["GET", "PATCH", "GET", "PATCH"]
    shown_there(page, client, plane, lambda state: state["time"] == 100, "the page's step")

    why = "to change view wall.cave takes a token to lead it (View-Token), or the role operator in its project"
    page.route("**/views/wall.cave", lambda route: route.fulfill(status=403, json={"detail": why}))
    page.get_by_role("button", name="Bring this view").click()
    expect(page.locator("#wall-said")).to_have_text(f"T{why[1:]}.")
    house.close()


def test_a_page_that_stays_with_a_wall_does_not_take_the_lead_back(
    chromium: Browser, with_wall: tuple[Plane, httpx.Client]
) -> None:
    plane, client = with_wall
    there = f"/runs/{plane.run}/views/wall.cave"
    house = House(chromium, plane)
    ada, ben = house.comes("Ada", "stay"), house.comes("Ben", "stay")
    until_row(ben, "Ada", "leads")
    people(ada)
    ada.get_by_label("Stay together and drive it").check()
    expect(ada.locator("#wall-said")).to_have_text("This page and wall cave show the same.")
    # She asks what the wall shows while she leads, and hears that it shows something else when Ben does: no reason to
    # take hold of a picture that is somebody else's by now.
    held: list[Route] = []
    ada.route("**/views/wall.cave", lambda route: held.append(route))
    ben.locator("#people-close").click()
    soon(ada, lambda: bool(held), "her question")
    client.patch(there, json={"state": {"opacity": 0.3}})
    drag(ben, 120, 30)
    until_row(ben, "Ben (you)", "leads")
    held[0].continue_()
    ada.unroute("**/views/wall.cave")
    expect(ada.locator("#wall-said")).to_have_text(
        "Somebody else leads this view now, so it does not stay with the wall any more."
    )
    expect(ada.get_by_label("Stay together and drive it")).not_to_be_checked()
    until_row(ada, "Ada (you)", "follows")
    assert "leads" in row(ben, "Ben (you)")

    # Nor does the wall follow whoever has the lead now.
    before = client.get(there).json()
    assert before["state"]["opacity"] == 0.3, (
        "what was changed there stays, and what Ben's view shows does not go there"
    )
    ben.locator("#people-close").click()
    turned = at_rest(ada)
    drag(ben, -160, 20)
    soon(ada, lambda: apart(seen(ada), turned) > 4, "Ada sees what Ben does")
    at_rest(ada)
    assert client.get(there).json() == before

    # Who stays with it anew wants to see it, and leads for that.
    people(ada)
    ada.get_by_label("Stay together and drive it").check()
    until_row(ben, "Ada", "leads")
    house.close()


def view_of(plane: Plane, name: str) -> dict[str, Any]:
    """A view as the API tells it."""
    found: dict[str, Any] = httpx.get(f"{plane.url}/api/v1/runs/{plane.run}/views/{name}", trust_env=False).json()
    return found


def test_a_kept_view_is_what_browsers_see_and_what_they_do_is_kept(house: House, plane: Plane) -> None:
    here = f"{plane.url}/api/v1/runs/{plane.run}/views"
    wanted = {"name": "kept", "state": {"mode": "map"}, "camera": {"azimuth": 0.0, "elevation": 1.5, "distance": 3.0}}
    assert httpx.post(here, json=wanted, trust_env=False).status_code == 201
    ada, ben = house.comes("Ada", "kept"), house.comes("Ben", "kept")
    for page in (ada, ben):
        expect(page.locator("input[name=mode][value=map]")).to_be_checked()
    soon(ben, lambda: apart(seen(ada), seen(ben)) < 2, "both show the same")
    assert view_of(plane, "kept")["revision"] == "1", "coming to a view changes nothing of it"

    changes = {"state": {"mode": "cube", "opacity": 0.5}, "camera": {"elevation": 0.2, "azimuth": 1.0}}
    assert httpx.patch(f"{here}/kept", json=changes, trust_env=False).status_code == 200
    for page in (ada, ben):
        expect(page.locator("input[name=mode][value=cube]")).to_be_checked()
    soon(ben, lambda: apart(at_rest(ada), at_rest(ben)) < 2, "both are changed")
    changed = at_rest(ben)

    drag(ada, 150, 60)
    soon(ben, lambda: apart(seen(ben), changed) > 4, "who leads goes on from there")
    until_kept(ada, plane, lambda view: view["camera"]["azimuth"] != 1.0)
    ada.locator("label:has(input[name=mode][value=globe])").click()
    until_kept(ada, plane, lambda view: view["state"]["mode"] == "globe")
    kept = view_of(plane, "kept")
    assert kept["state"]["opacity"] == 0.5
    azimuth = ada.evaluate("JSON.parse(new URLSearchParams(location.hash.slice(1)).get('camera').split(',')[0])")
    assert kept["camera"]["azimuth"] == pytest.approx(azimuth, abs=1e-6)

    # All go, and the control plane and its renderer are started anew: the view is there.
    for page in (ada, ben):
        page.close()
    plane.again()
    late = house.comes("Cleo", "kept")
    expect(late.locator("input[name=mode][value=globe]")).to_be_checked(timeout=1000 * PATIENCE_S)
    assert view_of(plane, "kept")["camera"] == kept["camera"]

    # What somebody did just before everybody had gone is there too.
    at_rest(late)
    drag(late, 120, -40)
    late.close()
    watch = house.comes("")
    soon(watch, lambda: view_of(plane, "kept")["camera"] != kept["camera"], "it is kept")


def until_kept(page: Page, plane: Plane, so: Callable[[dict[str, Any]], bool]) -> None:
    soon(page, lambda: so(view_of(plane, "kept")), "it is kept")


def test_a_token_to_look_opens_a_private_view_and_never_leads(house: House, plane: Plane) -> None:
    here = f"{plane.url}/api/v1/runs/{plane.run}/views"
    made = httpx.post(here, json={"name": "mine", "shared": False, "state": {"mode": "globe"}}, trust_env=False).json()
    lead = {"View-Token": made["token"]}
    given = httpx.post(f"{here}/mine/tokens", json={"role": "look"}, headers=lead, trust_env=False).json()
    ada = house.comes("Ada", f"mine#token={made['token']}")
    guest = house.comes("Ben", f"mine#token={given['token']}")
    assert "token" not in guest.url
    until_row(guest, "Ada", "leads")
    until_row(guest, "Ben (you)", "looks on")
    expect(guest.get_by_text("You look on here: others lead this view.")).to_be_visible()
    expect(guest.locator("#people-acts button")).to_have_count(0)
    until_row(ada, "Ben", "looks on")
    expect(ada.get_by_role("button", name="Hand over: Ben")).to_have_count(0)
    guest.locator("#people-close").click()
    before = httpx.get(f"{here}/mine", headers=lead, trust_env=False).json()
    there = ada.url
    drag(guest, 150, 60)
    # What whoever leads does afterwards has been seen and kept: so the guest's drag was heard before.
    ada.locator("label:has(input[name=mode][value=map])").click()

    def kept() -> dict[str, Any]:
        return dict(httpx.get(f"{here}/mine", headers=lead, trust_env=False).json())

    soon(ada, lambda: kept()["state"]["mode"] == "map", "what Ada does is kept")
    expect(guest.locator("input[name=mode][value=map]")).to_be_checked()
    for part in ("azimuth", "elevation", "distance"):
        assert kept()["camera"][part] == pytest.approx(before["camera"][part], abs=1e-6)
    assert ada.url.partition("&")[0] == there.partition("&")[0]
    ada.close()
    until_row(guest, "Ben (you)", "looks on")
    guest.reload()
    until_row(guest, "Ben (you)", "looks on")
    stranger = house.chromium.new_page()
    stranger.goto(f"{plane.page}?view=mine")
    expect(stranger.locator("#waiting-detail, #trouble-text").filter(has_text="has no view mine").first).to_be_visible()
    stranger.close()


def test_who_may_follow_asks_for_the_lead_and_is_let_go_when_his_token_is_revoked(house: House, plane: Plane) -> None:
    here = f"{plane.url}/api/v1/runs/{plane.run}/views"
    made = httpx.post(here, json={"name": "asked", "shared": False}, trust_env=False).json()
    lead = {"View-Token": made["token"]}
    given = httpx.post(f"{here}/asked/tokens", json={"role": "follow"}, headers=lead, trust_env=False).json()
    ada = house.comes("Ada", f"asked#token={made['token']}")
    ben = house.comes("Ben", f"asked#token={given['token']}")
    until_row(ben, "Ben (you)", "follows")
    before = at_rest(ada)
    ben.locator("#people-close").click()
    drag(ben, 150, 40)
    assert apart(at_rest(ada), before) < 1, "he may not take it"
    people(ben)
    ben.get_by_role("button", name="Ask for the lead").click()
    answer(ada, "Keep it", "Ben asks for the lead.")
    until_row(ben, "Ada", "leads")
    people(ben)
    ben.get_by_role("button", name="Ask for the lead").click()
    answer(ada, "Hand over", "Ben asks for the lead.")
    until_row(ben, "Ben (you)", "leads")
    ben.locator("#people-close").click()
    drag(ben, 150, 40)
    soon(ada, lambda: apart(seen(ada), before) > 4, "he leads")

    revoked = httpx.delete(f"{here}/asked/tokens/{given['token_id']}", headers=lead, trust_env=False)
    assert revoked.status_code == 204, revoked.text
    expect(ben.locator("#connection")).to_have_attribute("data-kind", "ended", timeout=1000 * PATIENCE_S)
    expect(ben.locator("#trouble")).to_contain_text("asked")
    until_row(ada, "Ada (you)", "leads")
