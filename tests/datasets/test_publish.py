"""From a directory to a release: complete, the same each time, and without a byte of the truth in public."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from datasets.digest import digest_bytes
from datasets.edits import Edits, PrizeEdit
from datasets.errors import SpecError, VaultError
from datasets.manifest import Manifest
from datasets.publish import Published, inspect, publish
from datasets.release import Inspection, Publication
from datasets.sealing import generate_keys
from datasets.spec import load_spec, parse_spec
from datasets.store import LocalStore
from datasets.truth.package import open_truth, verify_commitment
from scoring.dryrun import CHECKS
from scoring.offline import check_file
from tests.challenges import BUILDERS, Example

IDENTITY, RECIPIENT = generate_keys()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def table(tmp_path: Path) -> Example:
    return BUILDERS["table-numbers"](tmp_path / "challenge")


def _publish(example: Example, store: LocalStore, edits: Edits | None = None) -> Published:
    return publish(example.folder, store=store, recipient=RECIPIENT, checks=CHECKS, edits=edits)


def _blob(store: LocalStore, digest: str) -> bytes:
    with store.open(digest) as stream:
        return stream.read()


@pytest.mark.parametrize("name", BUILDERS)
def test_every_kind_publishes_and_its_truth_opens(tmp_path: Path, store: LocalStore, name: str) -> None:
    published = _publish(BUILDERS[name](tmp_path / name), store)
    made = published.publication
    truth = open_truth(
        io.BytesIO(_blob(store, made.truth.digest)), IDENTITY, tmp_path / "out", commitment=made.truth.commitment
    )
    assert truth.truth.kind == ("points" if name == "raster-points" else load_spec(tmp_path / name).challenge.kind)
    assert (truth.grid is not None) == (name == "raster-points")
    assert truth.digest == published.opening.digest
    assert verify_commitment(made.truth.commitment, published.opening)
    assert made.manifest_of().digest == made.manifest
    assert Manifest.from_json(_blob(store, made.manifest)) == made.manifest_of()


def test_a_release_holds_each_public_file_as_a_blob_and_in_the_zip(
    table: Example, store: LocalStore, tmp_path: Path
) -> None:
    made = _publish(table, store).publication
    names = [item.path for item in made.files]
    assert names == [
        "agreement.md",
        "catalog.json",
        "challenge.toml",
        "overview.md",
        "public/logs.csv",
        "sample/sample.csv",
    ]
    with zipfile.ZipFile(io.BytesIO(_blob(store, made.archive.digest))) as archive:
        assert archive.namelist() == [f"table-numbers/{name}" for name in names]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        archive.extractall(tmp_path / "got")
    assert made.manifest_of().differences(tmp_path / "got" / "table-numbers") == []
    for item in made.files:
        assert digest_bytes(_blob(store, item.sha256)) == item.sha256
    assert _blob(store, made.overview) == (table.folder / "overview.md").read_bytes()
    assert _blob(store, made.agreement) == (table.folder / "agreement.md").read_bytes()
    assert made.sample == "sample/sample.csv"


def test_the_same_directory_is_the_same_release_under_a_new_seal(table: Example, store: LocalStore) -> None:
    first, second = _publish(table, store), _publish(table, store)
    assert first.publication.manifest == second.publication.manifest
    assert first.publication.archive == second.publication.archive
    assert first.opening.digest == second.opening.digest
    assert first.publication.truth.commitment != second.publication.truth.commitment


def test_nothing_that_is_stored_or_told_holds_the_truth(table: Example, store: LocalStore) -> None:
    canary = "0.31337"
    truth = table.folder / "hidden/truth.csv"
    lines = truth.read_text().splitlines()
    fields = lines[5].split(",")
    lines[5] = ",".join([*fields[:2], canary, fields[3]])
    truth.write_text("\n".join(lines) + "\n")
    published = _publish(table, store)
    told = published.publication.model_dump_json()
    assert published.opening.digest not in told
    assert published.opening.salt not in told
    for digest in store.digests():
        assert canary.encode() not in _blob(store, digest)
    with zipfile.ZipFile(io.BytesIO(_blob(store, published.publication.archive.digest))) as archive:
        assert all(canary.encode() not in archive.read(name) and "hidden" not in name for name in archive.namelist())


def test_the_public_challenge_file_lacks_notes_and_the_split(table: Example, store: LocalStore) -> None:
    path = table.folder / "challenge.toml"
    path.write_text("# do not tell: the gold is in W-03\n" + path.read_text())
    made = _publish(table, store).publication
    (item,) = (item for item in made.files if item.path == "challenge.toml")
    text = _blob(store, item.sha256).decode()
    assert "gold" not in text
    public, whole = parse_spec(text), load_spec(table.folder)
    assert public.blocks is None
    assert public.model_dump(exclude={"blocks"}) == whole.model_dump(exclude={"blocks"})
    assert made.spec == whole.toml


def test_a_publication_is_json_and_back(table: Example, store: LocalStore) -> None:
    made = _publish(table, store).publication
    assert Publication.model_validate_json(made.model_dump_json()) == made
    assert made.total_bytes == sum(item.bytes for item in made.files)


def test_edits_change_texts_dates_and_prizes_and_keep_the_rest(table: Example, store: LocalStore) -> None:
    before = load_spec(table.folder)
    edits = Edits(
        title="New title",
        overview="# New\r\n",
        closes=datetime(2037, 1, 1, tzinfo=UTC),
        pool=Decimal("500.50"),
        prizes=(PrizeEdit(rank=1, amount=Decimal("500.50")),),
    )
    made = _publish(table, store, edits).publication
    spec = parse_spec(made.spec)
    assert (spec.challenge.title, spec.challenge.summary) == ("New title", before.challenge.summary)
    assert spec.schedule.closes == datetime(2037, 1, 1, tzinfo=UTC)
    assert (spec.bounty.pool_minor, spec.bounty.prize_minor(1), spec.bounty.prize_minor(2)) == (50050, 50050, 0)
    assert (spec.truth, spec.scoring, spec.blocks) == (before.truth, before.scoring, before.blocks)
    assert _blob(store, made.overview) == b"# New\n"


# faults -----------------------------------------------------------------------------------------------------------


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def _leak(folder: Path) -> None:
    (folder / "public/innocent.csv").write_bytes((folder / "hidden/truth.csv").read_bytes())


def _leaky_sample(folder: Path) -> None:
    (folder / "sample/sample.csv").write_bytes((folder / "hidden/truth.csv").read_bytes())


def _odd_name(folder: Path) -> None:
    (folder / "public/a\nb.csv").write_text("1")


def _two_cases(folder: Path) -> None:
    (folder / "public/LOGS.csv").write_text("1")


def _latin(folder: Path) -> None:
    (folder / "agreement.md").write_bytes("Verträge".encode("latin-1"))


def _weights(weight: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "hidden/truth.csv"
        head, *rows = path.read_text().splitlines()
        at = head.split(",").index("w")
        fields = [[weight if k == at else field for k, field in enumerate(row.split(","))] for row in rows]
        path.write_text("\n".join([head, *(",".join(row) for row in fields)]) + "\n")

    return change


FAULTS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "metric": (_replace("challenge.toml", '"mae"', '"f1_micro"'), "challenge.toml", "f1_micro"),
    "key": (_replace("challenge.toml", "seed = 7", "sead = 7"), "challenge.toml", "known key"),
    "missing file": (lambda folder: (folder / "hidden/truth.csv").unlink(), "challenge.toml", "not there"),
    "truth duplicate": (
        _replace("hidden/truth.csv", "W-00,1000.5,", "W-00,1000.0,"),
        "hidden/truth.csv",
        "duplicate-id",
    ),
    "truth text": (_replace("hidden/truth.csv", "W-00,1000.0,0", "W-00,1000.0,x"), "hidden/truth.csv", "not-a-number"),
    "no weight": (_weights("0"), "hidden/truth.csv", "add up to 0,"),
    "tiny weights": (_weights("1e-310"), "hidden/truth.csv", "not between"),
    "huge weights": (_weights("1.7e308"), "hidden/truth.csv", "add up to inf"),
    "sample column": (_replace("sample/sample.csv", "porosity", "poro"), "sample/sample.csv", "missing-column"),
    "sample row": (_replace("sample/sample.csv", "W-05,1005.5,0.18\n", ""), "sample/sample.csv", "missing-id"),
    "leak": (_leak, "public/innocent.csv", "hidden file"),
    "leaky sample": (_leaky_sample, "sample/sample.csv", "hidden file"),
    "odd name": (_odd_name, "'public/a\\nb.csv'", "portable"),
    "two cases": (_two_cases, "public/logs.csv", "only in case"),
    "encoding": (_latin, "agreement.md", "UTF-8"),
    "prizes": (_replace("challenge.toml", 'pool = "1000.00"', 'pool = "999.99"'), "challenge.toml", "above the pool"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_file_and_remedy_and_nothing_is_stored(table: Example, store: LocalStore, name: str) -> None:
    change, file, words = FAULTS[name]
    change(table.folder)
    with pytest.raises(SpecError) as caught:
        _publish(table, store)
    own = [fault for fault in caught.value.faults if fault.file == file and words in f"{fault.key} {fault.message}"]
    assert own, caught.value
    assert own[0].remedy
    assert list(store.digests()) == []


def test_all_faults_are_told_at_once(table: Example) -> None:
    _latin(table.folder)
    _replace("challenge.toml", '"mae"', '"f1_micro"')(table.folder)
    _replace("hidden/truth.csv", "W-00,1000.5,", "W-00,1000.0,")(table.folder)
    _leak(table.folder)
    found = inspect(table.folder, checks=CHECKS)
    assert {"public/innocent.csv", "agreement.md", "challenge.toml", "hidden/truth.csv"} <= {
        fault.file for fault in found.faults
    }
    assert not found.ok


def test_inspection_tells_what_can_be_edited(table: Example) -> None:
    found = inspect(table.folder, checks=CHECKS)
    assert found.ok
    assert (found.slug, found.kind) == ("table-numbers", "table")
    assert found.overview.startswith("# table-numbers")
    assert found.facts == {"truth": {"rows": 72}}
    assert Inspection.model_validate_json(json.dumps(found.model_dump(mode="json"))) == found


def test_a_directory_without_a_readable_challenge_file_is_still_inspected(table: Example) -> None:
    (table.folder / "challenge.toml").write_text("not = [toml")
    _leak(table.folder)
    found = inspect(table.folder, checks=CHECKS)
    assert {"challenge.toml", "public/innocent.csv"} <= {fault.file for fault in found.faults}
    assert found.spec == "not = [toml"


def test_a_wrong_recipient_is_said_before_anything_is_stored(table: Example, store: LocalStore) -> None:
    with pytest.raises(VaultError, match="age1"):
        publish(table.folder, store=store, recipient="nobody", checks=CHECKS)
    assert list(store.digests()) == []


def test_dot_files_are_not_published(table: Example, store: LocalStore) -> None:
    (table.folder / "public/.secret").write_text("x")
    assert all(".secret" not in item.path for item in _publish(table, store).publication.files)


@pytest.mark.parametrize("name", ["table-numbers", "points", "raster-points"])
def test_the_validator_works_on_what_experts_download(tmp_path: Path, store: LocalStore, name: str) -> None:
    example = BUILDERS[name](tmp_path / name)
    made = _publish(example, store).publication
    with zipfile.ZipFile(io.BytesIO(_blob(store, made.archive.digest))) as archive:
        archive.extractall(tmp_path / "got")
    (folder,) = (tmp_path / "got").iterdir()
    assert not (folder / "hidden").exists()
    assert check_file(folder, example.perfect).status == "valid"
    broken = tmp_path / f"broken{example.perfect.suffix}"
    broken.write_bytes(example.perfect.read_bytes()[:100])
    assert check_file(folder, broken).findings
