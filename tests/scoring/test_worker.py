"""Tasks end to end: drafts inspected and published, entries scored, faults told apart from findings."""

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from datasets.errors import EngineFault
from datasets.sealing import generate_keys
from datasets.threads import allowed, each
from scoring import worker
from scoring.contracts import FaultReport, FileFacts, InspectReport, PublishReport, ScoreReport
from scoring.entry import Upload
from scoring.hosts import Alone, PartJob, Stopped
from scoring.offline import score_file
from scoring.statistics import unpack
from scoring.worker import MAX_ANSWER, EngineSettings, Plans, run, run_with
from tests.challenges import BUILDERS
from tests.scoring.works import Works, draft_of, new_settings, publish


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    return publish(tmp_path_factory.mktemp("works"), "table-numbers")


def scored(works: Works, file: Path, settings: EngineSettings | None = None) -> ScoreReport:
    return ScoreReport.model_validate_json(run_with(settings or works.settings, "score", works.payload(file)))


class Three(Alone):
    """A host of three cores."""

    threads = 3  # type: ignore[assignment]


def fault(answer: bytes) -> str:
    return FaultReport.model_validate_json(answer).fault


def test_an_entry_scores_as_it_does_offline(works: Works) -> None:
    report = scored(works, works.example.sample)
    alone = score_file(works.example.folder, works.example.sample)
    same = {"seconds", "peak_rss_mib", "artifacts", "block_statistics", "truth"}
    assert report.model_dump(exclude=same) == alone.model_dump(exclude=same)
    assert report.truth == works.publication.truth.commitment  # no digest that a guess could be checked against
    assert report.status == "scored"


def test_the_same_inputs_give_the_same_report(works: Works) -> None:
    first, second = (scored(works, works.example.sample) for _ in range(2))
    changing = {"seconds", "peak_rss_mib"}
    assert first.model_dump(exclude=changing) == second.model_dump(exclude=changing)


def test_statistics_and_previews_are_kept(works: Works) -> None:
    report = scored(works, works.example.sample)
    assert report.block_statistics is not None
    with works.store.open(report.block_statistics) as stream:
        states = unpack(stream.read())
    assert {key for key, _ in states} == {f"W-{number:02d}" for number in range(6)}
    assert {name for name in report.artifacts if not name.startswith("judge-")} == set(), "a table has no picture"
    with works.store.open(report.artifacts["judge-blocks.json"]) as stream:
        assert len(json.load(stream)["rows"]) == 6


def test_a_rejected_entry_is_an_answer_not_a_fault(works: Works, tmp_path: Path) -> None:
    lines = works.example.sample.read_text(encoding="utf-8").splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    report = scored(works, short)
    assert (report.status, report.scores, report.artifacts) == ("rejected", None, {})
    assert [finding.code for finding in report.findings] == ["missing-id"]


def test_an_answer_stays_small_whatever_was_uploaded(works: Works, tmp_path: Path) -> None:
    long = tmp_path / "long.csv"
    rows = [f"{'x' * 900}{number},{number},not a number {'y' * 900}" for number in range(2000)]
    long.write_text("well,depth,porosity\n" + "\n".join(rows), encoding="utf-8")
    answer = run_with(works.settings, "score", works.payload(long))
    assert ScoreReport.model_validate_json(answer).status == "rejected"
    assert len(answer) <= MAX_ANSWER


def test_no_value_of_the_truth_stands_in_an_answer(works: Works, tmp_path: Path) -> None:
    truth = works.example.perfect.read_text(encoding="utf-8").splitlines()[1:]
    values = {line.rsplit(",", 1)[1] for line in truth}
    shuffled = tmp_path / "wrong.csv"
    shuffled.write_text("well,depth,porosity\nW-00,1000.0,0.5\nW-00,1000.0,nan\nW-77,3.0,0.5\n", encoding="utf-8")
    for file in (works.example.sample, shuffled):
        report = scored(works, file)
        text = report.model_dump_json(exclude={"seconds", "peak_rss_mib"})  # these may read like any number
        assert not [value for value in values if value in text]


def test_a_damaged_blob_is_our_fault(works: Works, tmp_path: Path) -> None:
    file = tmp_path / "entry.csv"
    file.write_bytes(works.example.sample.read_bytes() + b"\n")
    ticket = works.ticket(file)
    place = works.store.path(ticket.file)
    assert place is not None
    place.chmod(0o600)
    place.write_bytes(b"well,depth,porosity\n")
    assert fault(run_with(works.settings, "score", ticket.model_dump_json().encode())) == "blob-damaged"
    works.store.delete(ticket.file)
    assert fault(run_with(works.settings, "score", ticket.model_dump_json().encode())) == "blob-missing"


@pytest.mark.parametrize("content", [b"well,depth,porosity\n", b"", None], ids=["refused", "empty", "scored"])
def test_a_damaged_blob_is_our_fault_also_when_it_is_looked_at_beside_the_scoring(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    monkeypatch.setattr(worker, "SMALL", 0)
    file = tmp_path / "entry.csv"
    file.write_bytes(works.example.sample.read_bytes() + b"\n" * 2)
    ticket = works.ticket(file)
    good = run_with(works.settings, "score", ticket.model_dump_json().encode(), host=Three())
    assert ScoreReport.model_validate_json(good).status == "scored"
    place = works.store.path(ticket.file)
    assert place is not None
    place.chmod(0o600)
    place.write_bytes(works.example.sample.read_bytes() if content is None else content)
    assert fault(run_with(works.settings, "score", ticket.model_dump_json().encode(), host=Three())) == "blob-damaged"
    works.store.delete(ticket.file)


def test_whoever_stops_does_not_wait_for_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, go = tmp_path / "data", threading.Event()
    file.write_bytes(b"1")
    monkeypatch.setattr(worker, "_verify", lambda _upload: go.wait(60))
    upload = Upload(file, "csv", FileFacts(sha256="0" * 64, bytes=1))
    with pytest.raises(Stopped), worker.verified(upload, beside=True):
        raise Stopped
    assert not go.is_set()
    go.set()


def test_another_key_opens_nothing(works: Works, tmp_path: Path) -> None:
    identity, _ = generate_keys()
    other = replace(works.settings, truth_key=identity, scratch=tmp_path)
    payload = works.payload(works.example.sample)
    assert fault(run_with(other, "score", payload)) == "truth-unavailable"
    assert fault(run_with(replace(other, truth_key=""), "score", payload)) == "truth-unavailable"


@pytest.mark.parametrize(
    ("task", "payload"), [("score", b"{}"), ("score", b"\xff"), ("guess", b"{}"), ("inspect", b"[]")]
)
def test_a_ticket_that_is_none_is_a_fault(works: Works, task: str, payload: bytes) -> None:
    assert fault(run_with(works.settings, task, payload)) == "bad-ticket"


def test_opened_truths_are_forgotten_when_they_fill_the_cache(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    one, two = (publish(tmp_path, name, settings) for name in ("table-numbers", "table-classes"))
    scored(one, one.example.sample)
    scored(two, two.example.sample)
    assert {path.name for path in settings.truths.iterdir()} == {w.publication.truth.digest for w in (one, two)}
    small = replace(settings, cache_bytes=1)
    os.utime(settings.truths / two.publication.truth.digest, (0, 0))
    assert scored(one, one.example.sample, small).status == "scored"
    assert [path.name for path in settings.truths.iterdir()] == [one.publication.truth.digest]
    assert scored(two, two.example.sample, small).status == "scored"


def test_a_draft_is_inspected_and_proved(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    example = BUILDERS["points"](tmp_path / "points")
    ticket = draft_of(example.folder, settings)
    report = InspectReport.model_validate_json(run_with(settings, "inspect", ticket.model_dump_json().encode()))
    assert report.inspection.ok
    assert report.dry_run is not None
    assert report.dry_run["ok"]
    assert [row["entry"] for row in report.dry_run["rows"]] == ["perfect", "baseline", "empty", "nan", "shifted"]


def test_a_faulty_draft_tells_every_fault_and_is_not_published(tmp_path: Path) -> None:
    settings = new_settings(tmp_path)
    example = BUILDERS["table-numbers"](tmp_path / "faulty")
    (example.folder / "agreement.md").unlink()
    text = (example.folder / "challenge.toml").read_text(encoding="utf-8")
    (example.folder / "challenge.toml").write_text(text.replace('"mae"', '"mea"'), encoding="utf-8")
    payload = draft_of(example.folder, settings).model_dump_json().encode()
    inspected = InspectReport.model_validate_json(run_with(settings, "inspect", payload))
    published = PublishReport.model_validate_json(run_with(settings, "publish", payload))
    assert inspected.dry_run is None
    assert published.publication is None
    assert {fault.file for fault in published.faults} >= {"agreement.md"}
    assert {fault.message for fault in inspected.inspection.faults} == {fault.message for fault in published.faults}


def test_a_truth_cannot_be_sealed_without_a_recipient(works: Works) -> None:
    ticket = draft_of(works.example.folder, works.settings)
    settings = replace(works.settings, recipient="")
    assert fault(run_with(settings, "publish", ticket.model_dump_json().encode())) == "engine-fault"


def test_settings_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity, recipient = generate_keys()
    key = tmp_path / "engine.key"
    key.write_text(identity + "\n", encoding="ascii")
    found = EngineSettings.from_env({"MOTHERLODE_DATA": str(tmp_path), "MOTHERLODE_TRUTH_KEY": f"@{key}"})
    assert (found.store, found.scratch) == (tmp_path / "blobs", tmp_path / "scratch")
    assert (found.truth_key, found.recipient) == (identity, recipient)
    assert identity not in repr(found)
    with pytest.raises(EngineFault, match="TRUTH_KEY"):
        EngineSettings.from_env({"MOTHERLODE_TRUTH_KEY": "@/nowhere/engine.key"})
    monkeypatch.setenv("MOTHERLODE_DATA", str(tmp_path))
    monkeypatch.setenv("MOTHERLODE_TRUTH_KEY", "@/nowhere/engine.key")
    assert fault(run("score", b"{}")) == "engine-fault"


def test_threads_follow_the_host_of_each_task(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_: object) -> FaultReport:
        inside = list(each(lambda _: allowed(), range(4)))
        return FaultReport(fault="seen", message=f"{allowed()} {inside}")

    monkeypatch.setattr(worker, "score", told)
    assert b"3 [1, 1, 1, 1]" in run_with(works.settings, "score", b"", host=Three())
    assert allowed() == 1


@pytest.mark.parametrize("late", ["before", "while"])
def test_bundles_that_begin_late_pin_no_plan(monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    plans, made = Plans(), []

    def plan(job: PartJob) -> PartJob:
        if late == "while":
            plans.forget(job)
        made.append(job)
        return job

    monkeypatch.setattr(worker, "_plan", plan)
    over, other = (PartJob("raster", "", "truth", "", f"{room}/entry") for room in ("a", "b"))
    if late == "before":
        plans.keep(over, plan(over))
        plans.forget(over)
    assert plans.of(over) is over
    assert plans._plans == {}
    monkeypatch.setattr(worker, "_plan", lambda job: job)
    assert plans.of(other) is other
    assert list(plans._plans) == [other]


def test_a_full_disk_is_a_fault_that_says_so(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    payload = works.payload(works.example.sample)
    monkeypatch.setattr(worker, "room_of", full)
    answer = FaultReport.model_validate_json(run_with(works.settings, "score", payload))
    assert (answer.fault, answer.message) == ("unexpected", "ENOSPC: No space left on device")
