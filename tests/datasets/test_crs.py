"""Systems told by what their code means, and those looked up before a fork."""

import copy
import json
from typing import Any

import pytest
from pyproj import CRS

from datasets.formats import crs as systems

CODES = [4326, 4269, 32615, 32733, 25832, 26912, 28355, 3857, 3035, 27700, 2154, 31467, 2193, 5514, 4979, 32662]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "_KEPT", {})
    monkeypatch.setattr(systems, "_TEXTS", {})


def slowly(value: Any) -> CRS:
    return systems._plain(CRS.from_json(json.dumps(value)))


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("code", CODES)
def test_projjson_means_the_same_with_and_without_its_codes(code: int) -> None:
    value = CRS.from_epsg(code).to_json_dict()
    bare = copy.deepcopy(value)
    for member in (bare.get("base_crs") or bare).get("datum_ensemble", {}).get("members", []):
        del member["id"]
    for some in (value, bare, {name: part for name, part in value.items() if name not in {"scope", "bbox", "area"}}):
        assert systems.from_projjson(some).to_wkt() == slowly(some).to_wkt()


@pytest.mark.usefixtures("kept")
def test_a_code_that_lies_is_not_believed() -> None:
    value = CRS.from_epsg(32615).to_json_dict()
    value["conversion"]["parameters"][1]["value"] = -92.5
    assert systems.from_projjson(value).to_wkt() == slowly(value).to_wkt()
    assert systems.from_projjson(value).to_epsg() is None
    value = CRS.from_epsg(32615).to_json_dict() | {"id": {"authority": "EPSG", "code": 32616}}
    assert systems.from_projjson(value).to_wkt() == slowly(value).to_wkt()
    for odd in ({"authority": "EPSG", "code": "32615"}, {"authority": "EPSG", "code": 99}, [], None):
        value = CRS.from_epsg(32615).to_json_dict() | {"id": odd}
        try:
            wanted = slowly(value).to_wkt()
        except systems.ProjError:
            continue
        assert systems.from_projjson(value).to_wkt() == wanted


@pytest.mark.usefixtures("kept")
def test_kept_systems_are_those_of_the_database() -> None:
    before = {code: systems.from_epsg(code).to_wkt() for code in (4326, 32615, 25832)}
    texts = {code: systems.from_wkt(text).to_wkt() for code, text in before.items()}
    systems.keep_common()
    assert {code: systems.from_epsg(code).to_wkt() for code in before} == before
    assert {code: systems.from_wkt(text).to_wkt() for code, text in before.items()} == texts
