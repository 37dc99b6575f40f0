"""Takes the README's pictures of the page, which must be running, and a short film of it in use:

make app &
python -m tests.browser.tour http://127.0.0.1:7860/ assets/readme
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageColor
from playwright.sync_api import Browser, Page

from tests.browser.chromium import open_browser
from tests.browser.steps import VIEWER, open_example, settle, wait_for_viewer
from tests.browser.windows import SIZES

EXAMPLE = "person_walks_left_close"
STATE = "{layer: 'res4.1', levels: 2, t: 1, x: 140, y: 140}"
"""A place on the person, in a layer whose cells are small enough to tell the person from the ground."""
LOOKS = [("page", "desktop", "light"), ("page_dark", "desktop", "dark"), ("phone", "phone", "light")]
TABS = ("offsets", "compare", "learn", "about")
PATIENCE = 60_000
"""Until something is shown, milliseconds; Plotly alone is several megabytes of script."""

FILM_WIDTH = 900
GROUND = ("#f6f7f8", "#ffffff", "#e1e4e8", "#16191d", "#59626d", "#1d5fd1", "#e6effc", "#eceff2")
"""The page's own colours, which large areas have: of a GIF's 256, these are exact."""
POINTER = """
const pointer = document.createElement('div');
pointer.innerHTML = '<svg width="26" height="26" viewBox="0 0 24 24"><path d="M5 2l14 11-6.5.8L9 20z" fill="#111" stroke="#fff" stroke-width="1.6"/></svg>';
pointer.style.cssText = 'position:fixed;left:-50px;top:0;z-index:99999;pointer-events:none;line-height:0';
document.body.append(pointer);
addEventListener('mousemove', ({clientX, clientY}) => {
  pointer.style.left = `${clientX - 5}px`;
  pointer.style.top = `${clientY - 2}px`;
}, true);
"""  # noqa: E501
"""Pictures of a page do not show the mouse."""


def main(address: str, folder: Path) -> None:
    """Write a picture for each of LOOKS and TABS, charts.jpg, and tour.gif."""
    with open_browser() as browser:
        for name, size, scheme in LOOKS:
            page = visit(browser, address, size, scheme)
            save(page, folder / f"{name}.jpg")
            page.close()
        page = visit(browser, address)
        for name in TABS:
            if page.locator(f"#to-{name}").count():
                open_tab(page, name)
                if name == "learn":
                    page.locator("#learn .steps button").nth(5).click()
                    page.mouse.move(0, 0)
                    settle(page)
                save(page, folder / f"{name}.jpg")
        open_tab(page, "explore")
        open_charts(page)
        page.locator("#charts").screenshot(path=folder / "charts.jpg", quality=88)
        page.close()
        film = Film(visit(browser, address))
        show_around(film)
        film.save(folder / "tour.gif")


def visit(browser: Browser, address: str, size: str = "desktop", scheme: str = "light") -> Page:
    """The page with the example and query of the README."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    wait_for_viewer(page)
    open_example(page, EXAMPLE)
    page.evaluate(f"{VIEWER}.viewer.setState({STATE})")
    settle(page)
    return page


def save(page: Page, path: Path) -> None:
    """A picture of what is on the screen."""
    page.screenshot(path=path, quality=88)


SHOWN = {
    "explore": "#explorer canvas",
    "offsets": "#offset-directions .js-plotly-plot .barlayer, #offset-directions .js-plotly-plot .bars",
    "compare": "#compare canvas",
    "learn": "#learn .step",
    "about": "#about-chart .scatterlayer",
}
"""What is there when a tab is."""


def open_tab(page: Page, name: str) -> None:
    """Choose a tab and wait until it is filled."""
    page.locator(f"#to-{name}").click()
    page.locator(SHOWN[name]).locator("visible=true").first.wait_for(timeout=PATIENCE)
    rest(page)


def rest(page: Page) -> None:
    """Until no computation is under way any more, and what came is drawn."""
    page.wait_for_function("!document.querySelector('#notice .busy')", timeout=PATIENCE)
    page.wait_for_timeout(700)
    settle(page)


def open_charts(page: Page) -> None:
    """Unfold the charts below the viewer."""
    page.locator("#charts summary").click()
    page.locator("#chart-motion .scatterlayer .trace").first.wait_for(timeout=PATIENCE)
    page.locator("#charts").scroll_into_view_if_needed()
    rest(page)


@dataclass
class Film:
    """Pictures of a page, each with how long it is shown."""

    page: Page
    pictures: list[Image.Image] = field(default_factory=list)
    milliseconds: list[int] = field(default_factory=list)

    def take(self, milliseconds: int) -> None:
        """Show what is on the screen for so long."""
        settle(self.page)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        size = FILM_WIDTH, round(picture.height * FILM_WIDTH / picture.width)
        self.pictures.append(picture.resize(size, Image.Resampling.LANCZOS))
        self.milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write an animated GIF. One palette for all, so that what stands still costs nothing."""
        small = [picture.reduce(4) for picture in self.pictures]
        width, height = small[0].size
        sheet = Image.new("RGB", (width, height * len(small)))
        for number, picture in enumerate(small):
            sheet.paste(picture, (0, height * number))
        # Overlays are rare and colourful: coverage keeps them, where counting pixels would give all to the grass.
        palette = sheet.quantize(256 - len(GROUND), method=Image.Quantize.MAXCOVERAGE)
        colours = (palette.getpalette() or [])[: 3 * (256 - len(GROUND))]
        palette.putpalette([*colours, *(part for colour in GROUND for part in ImageColor.getrgb(colour))])
        first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures)
        first.save(path, save_all=True, append_images=others, duration=self.milliseconds, loop=0, optimize=True)
        print(f"{path.name}: {sum(self.milliseconds) / 1000:.1f} s, {path.stat().st_size / 1e6:.1f} MB")


def show_around(film: Film) -> None:
    """Twenty seconds of the page in use."""
    page = film.page
    page.evaluate(POINTER)
    film.take(700)
    # Look around on the person, then ask about a place.
    for x, y in stroll([(0.42, 0.85), (0.22, 0.42), (0.20, 0.75), (0.30, 0.60), (0.22, 0.39)], 7):
        frame = page.locator("#explorer .screen.here").bounding_box()
        assert frame
        page.mouse.move(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
        film.take(80)
    page.mouse.down()
    page.mouse.up()
    film.take(900)
    for key, milliseconds in (("m", 700), ("c", 1000), ("c", 0), ("a", 900), ("a", 0), ("m", 700)):
        page.keyboard.press(key)
        if milliseconds:
            film.take(milliseconds)
    for t in (2, 3, 0, 1):
        page.evaluate(f"{VIEWER}.viewer.setState({{t: {t}}})")
        film.take(450)
    for name in ("offsets", "compare"):
        point_at(film, f"#to-{name}")
        open_tab(page, name)
        film.take(1800)
    point_at(film, "#to-learn")
    open_tab(page, "learn")
    film.take(1300)
    for number in (4, 6, 7):
        point_at(film, f"#learn .steps li:nth-child({number}) button")
        page.mouse.down()
        page.mouse.up()
        film.take(1300)
    page.locator("#learn .experiment").scroll_into_view_if_needed()
    point_at(film, '#learn [data-part="offsets"]')
    page.mouse.down()
    page.mouse.up()
    page.locator("#learn .bars").wait_for(timeout=PATIENCE)
    rest(page)
    page.locator("#learn .outcome").evaluate("(node) => node.scrollIntoView({block: 'end'})")
    film.take(1900)


def stroll(places: list[tuple[float, float]], steps: int) -> Iterator[tuple[float, float]]:
    """Places on the way from each to the next, so many for each."""
    for (x0, y0), (x1, y1) in itertools.pairwise(places):
        for step in range(1, steps + 1):
            part = step / steps
            yield x0 + part * (x1 - x0), y0 + part * (y1 - y0)


def point_at(film: Film, selector: str) -> None:
    """Move the pointer onto something."""
    box = film.page.locator(selector).bounding_box()
    assert box
    film.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    film.take(350)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
