"""Every control is read, again under the expectation its own canonical form fixes, and never with anything else."""

from pathlib import Path

import numpy as np
import pytest

from datasets.canonical import Canonical, unpack_text
from datasets.errors import EngineFault, Rejected
from datasets.expect import Expectation
from datasets.findings import CODES, SHOWN, Findings, reject
from datasets.intake import intake
from datasets.recheck import recheck
from tests.datasets import controls
from tests.datasets.controls import CONTROLS, Control


def read(control: Control, folder: Path, expect: Expectation, name: str) -> Canonical:
    return intake(control.make(folder), format=control.format, expect=expect, out=folder / name)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_controls_are_read(control: Control, tmp_path: Path) -> None:
    loose = read(control, tmp_path, control.expectation(), "loose")
    tight = read(control, tmp_path, Expectation.tight(control.spec, loose), "tight")
    assert loose.kind == control.spec.challenge.kind
    assert loose.arrays.keys() == tight.arrays.keys()
    for name, array in loose.arrays.items():
        assert np.array_equal(array, tight.arrays[name]), name


def test_points_are_alike_in_every_format(tmp_path: Path) -> None:
    truth = read(CONTROLS[2], tmp_path, Expectation.loose(controls.POINTS), "truth")
    expect = Expectation.tight(controls.POINTS, truth)
    data = controls.places().sort_values("score", ascending=False, kind="stable")
    for control in CONTROLS[2:6]:
        points = read(control, tmp_path, expect, control.name)
        assert np.allclose(points.arrays["x"], data.geometry.x, rtol=0, atol=1e-6)
        assert points.arrays["feature"].tolist() == data.index.tolist()
        assert points.arrays["order"].tolist() == list(range(controls.N))
        assert points.arrays["confidence"].tolist() == data["score"].tolist()


def test_polygons_are_alike_in_every_format(tmp_path: Path) -> None:
    read_all = [read(control, tmp_path, control.expectation(), control.name) for control in CONTROLS[6:9]]
    for one in read_all:
        assert unpack_text(one.arrays, "label") == controls.squares()["label"].tolist()
        assert one.arrays["features"].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
        assert len(one.arrays["rings"]) == 13
        assert np.allclose(one.arrays["coords"], read_all[0].arrays["coords"], rtol=0, atol=1e-6)


def test_raster_is_copied_bit_by_bit(tmp_path: Path) -> None:
    raster = read(CONTROLS[9], tmp_path, CONTROLS[9].expectation(), "out")
    assert np.array_equal(raster.arrays["band"], controls.cells())
    assert np.argwhere(~raster.arrays["valid"]).tolist() == [[3, 4]]
    assert raster.attrs["transform"] == [25.0, 0.0, 500000.0, 0.0, -25.0, 4200000.0]
    assert raster.attrs["nodata"] == -9999.0


def test_grids_are_alike_in_every_format(tmp_path: Path) -> None:
    for control in CONTROLS[10:]:
        grid = read(control, tmp_path, control.expectation(), control.name)
        assert np.array_equal(grid.arrays["data"], controls.cube()["tp"].values)
        assert grid.attrs["dims"] == ["member", "time", "lat"]
        assert grid.attrs["axis_types"] == {"member": "number", "time": "time", "lat": "number"}
        assert grid.attrs["member"] == "member"
        assert (
            grid.arrays["coord.time"].tolist()
            == controls.cube()["time"].values.astype("datetime64[ns]").astype(np.int64).tolist()
        )


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
@pytest.mark.parametrize(
    "content", [b"\x00" * 100, b"<?xml version='1.0'?><a/>", b"{", b"PK\x03\x04", b"PAR1", b"II*\x00"]
)
def test_another_content_is_refused(control: Control, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(Rejected):
        intake(tmp_path / "upload", format=control.format, expect=control.expectation(), out=tmp_path / "out")


def test_a_format_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        intake(controls.csv(tmp_path), format="geotiff", expect=CONTROLS[0].expectation(), out=tmp_path / "out")
    assert caught.value.findings[0].code == "wrong-format"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_expectation_survives_json(control: Control, tmp_path: Path) -> None:
    loose = control.expectation()
    assert Expectation.from_json(loose.to_json()) == loose
    tight = Expectation.tight(control.spec, read(control, tmp_path, loose, "out"))
    assert Expectation.from_json(tight.to_json()) == tight


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    read(CONTROLS[0], tmp_path, CONTROLS[0].expectation(), "out")
    with pytest.raises(EngineFault):
        read(CONTROLS[0], tmp_path, CONTROLS[0].expectation(), "out")


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_recheck_wants_every_array(control: Control, tmp_path: Path) -> None:
    expect = control.expectation()
    good = read(control, tmp_path, expect, "out")
    for name in good.arrays:
        less = Canonical(good.kind, {key: array for key, array in good.arrays.items() if key != name}, good.attrs)
        if name != "valid":
            with pytest.raises((ValueError, KeyError, TypeError)):
                recheck(less, expect)
        other = {**good.arrays, name: np.zeros((2, 2, 2), dtype=np.int16)}
        with pytest.raises((ValueError, KeyError, TypeError)):
            recheck(Canonical(good.kind, other, good.attrs), expect)
    with pytest.raises(ValueError, match="kind"):
        recheck(Canonical("other", good.arrays, good.attrs), expect)


def test_findings_are_capped_and_counted() -> None:
    found = Findings()
    found.add_each("not-finite", range(1000), lambda i: (f"Row {i}", {"row": i}), total=1000)
    found.add("no-crs", "none")
    assert len(found.all()) == SHOWN + 2
    assert found.all()[-1].where == {"count": 1000}
    with pytest.raises(KeyError):
        found.add("no-such-code", "x")
    with pytest.raises(KeyError):
        reject("no-such-code", "x")


def test_nothing_is_a_finding() -> None:
    found = Findings()
    found.add_each("not-finite", [], lambda i: ("", {}), total=0)
    found.stop_if_any()
    assert not found


def test_codes_are_explained() -> None:
    for code, text in CODES.items():
        assert code == code.lower()
        assert text.endswith(".")
