"""What tests do with the page: open it, drag in it, and read from its pixels what it shows."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.web.server import BITS, BLOCK, Fake

SHOWN = f"""() => {{
  const canvas = document.getElementById("picture");
  if (!canvas?.dataset.frame) return null;
  const strip = Object.assign(document.createElement("canvas"), {{width: {BITS * BLOCK}, height: 1}});
  const pen = strip.getContext("2d", {{willReadFrequently: true}});
  pen.drawImage(canvas, 0, canvas.height - {BLOCK // 2}, {BITS * BLOCK}, 1, 0, 0, {BITS * BLOCK}, 1);
  const row = pen.getImageData(0, 0, {BITS * BLOCK}, 1).data;
  let n = 0;
  for (let i = 0; i < {BITS}; i += 1) n = 2 * n + (row[4 * (i * {BLOCK} + {BLOCK // 2})] > 127 ? 1 : 0);
  return n;
}}"""
"""The number that the blocks in the picture spell, or null before the first picture."""


def shown(page: Page) -> int:
    """The number of the input that the picture on the canvas answers, read from its pixels."""
    return int(page.evaluate(SHOWN) or 0)


def until_shown(page: Page, at_least: int) -> None:
    page.wait_for_function(f"() => ({SHOWN})() >= {at_least}")


def open_run(page: Page, address: str, fake: Fake) -> None:
    page.goto(f"{address}/view/{fake.run_id}")
    until_shown(page, 1)


def middle(page: Page) -> tuple[float, float]:
    box = page.locator("#picture").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, dx: float, dy: float, button: Any = "left") -> None:
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up(button=button)


CONTRAST = """() => {
  const dot = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const pen = dot.getContext("2d", {willReadFrequently: true});
  const over = (colours) => {
    pen.fillStyle = "#000"; pen.fillRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((n) => n / 255).map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const element of document.querySelectorAll("main *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest(".unseen, dialog:not([open]), #waiting, option")) continue;
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const a = light(over(behind)), b = light(over([...behind, getComputedStyle(element).color]));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.id || element.tagName, element.textContent.slice(0, 20), ratio]);
  }
  return JSON.stringify(poor);
}"""
"""Texts of the page whose contrast (WCAG 2, relative luminance) is below 4.5, as JSON."""
