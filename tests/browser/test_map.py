"""Maps: MapLibre draws over the picture where it can; where it cannot, the picture or table stays."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.settlement import CLOSED, Settlement

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
NO_WEBGL = "HTMLCanvasElement.prototype.getContext = () => null"
PAGES = [
    ("Expert A", f"/challenges/{CLOSED}"),
    ("Expert A", "/entries/{map}"),
    ("Judge", "/judge/entries/{winner}"),
]


@pytest.mark.parametrize(("name", "path"), PAGES)
def test_the_map_is_drawn_from_its_layers(comes: Visit, settled: Settlement, name: str, path: str) -> None:
    visitor = comes(name)
    answers: dict[str, int] = {}
    visitor.page.on("response", lambda answer: answers.update({answer.url.removeprefix(visitor.url): answer.status}))
    visitor.open(path.format(**settled.entries))
    visitor.page.locator("figure[data-map][data-ready]").wait_for(timeout=30_000)
    expect(visitor.page.locator("figure[data-map] canvas")).to_be_visible()
    expect(visitor.page.locator(".map-legend input:checked").first).to_be_visible()
    layers = {path: status for path, status in answers.items() if "/layers" in path or "/artifacts/" in path}
    assert len(layers) >= 2, answers
    assert set(layers.values()) == {200}
    visitor.calm()


@pytest.mark.parametrize(("name", "path"), PAGES)
def test_without_webgl_the_picture_stays(comes: Visit, settled: Settlement, name: str, path: str) -> None:
    visitor = comes(name)
    visitor.page.add_init_script(NO_WEBGL)
    visitor.open(path.format(**settled.entries))
    picture = visitor.page.locator(".map-fallback img").first
    expect(picture).to_be_visible()
    picture.scroll_into_view_if_needed()
    visitor.page.wait_for_function("document.querySelector('.map-fallback img').naturalWidth > 0")
    assert visitor.page.locator("figure[data-ready]").count() == 0
    visitor.calm()
