"""From a hostile file to its canonical form, or to everything that is wrong with it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.canonical import META, Canonical
from datasets.errors import EngineFault, Finding, IntegrityError, Rejected
from datasets.expect import Expectation
from datasets.findings import CODES, reject
from datasets.recheck import recheck, recheck_remains
from datasets.sandbox import Sandbox, Task, shared
from datasets.threads import using

_LOG = logging.getLogger(__name__)
_MEBI = 1 << 20
SMALL = 4 << 20  # bytes of a file that one thread reads soonest
_MAX_FINDINGS = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """Walls of one reading: ``memory`` in bytes at most, ``cpu`` and ``wall`` in seconds for a small file.

    A child gets 512 MiB, 12 times the file and 6 times the expected values, up to ``memory``; seconds grow alike.
    """

    memory: int = 3 << 30
    cpu: int = 30
    wall: int = 60


DEFAULT_LIMITS = Limits()


def intake(
    path: Path,
    *,
    format: str,  # noqa: A002  the word of challenge.toml
    expect: Expectation,
    out: Path,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
    attend: Callable[[], None] | None = None,
    sandbox: Sandbox | None = None,
) -> Canonical:
    """Read ``path`` in a sandboxed child and map the canonical form it wrote into ``out``, an empty or new folder.

    ``threads``: how many the child may use for a large file. ``attend`` is called while the child reads; an error of
    it ends the child and is raised.

    Raises:
        Rejected: with every finding, free of truth.
        EngineFault: the child could not be started or did not keep its word.
    """
    if format not in expect.formats:
        raise reject(
            "wrong-format",
            f"{format!r} is not a format of this challenge.",
            hint=f"Send one of: {', '.join(expect.formats)}.",
        )
    try:
        size = path.stat().st_size
        out.mkdir(parents=True, exist_ok=True)
        fresh = not any(out.iterdir())
    except OSError as error:
        raise EngineFault(f"the upload or its folder cannot be used: {error}") from error
    if not fresh:
        raise EngineFault(f"{out} is not empty")
    if size == 0:
        raise reject("empty-file", "The file is empty.", hint="Send the file again; the transfer may have been cut.")
    if size > expect.max_bytes:
        raise reject(
            "too-large",
            f"The file has {size} bytes; {expect.max_bytes} are allowed.",
            hint="Compress it or use a smaller number type.",
        )
    task = _task(path, format, expect, out, size, limits, threads if size > SMALL else 1)
    answer = (sandbox or shared()).run(task, attend=attend)
    _obey(answer, path)
    try:
        canonical = Canonical.read(out)
        with using(task.threads):
            recheck(canonical, expect)
    except (IntegrityError, ValueError, TypeError, KeyError, IndexError) as error:
        raise EngineFault(f"the reader's canonical form is not what it has to be: {error}") from error
    return canonical


def remains(out: Path, expect: Expectation) -> Canonical | None:
    """What could be read of a file ``intake`` refused, so that its coverage can be checked all the same.

    A raster in its place, with 0 in cells that are not finite; of a table only the ids, with the 0-based ``row``
    of each. None: nothing that can be relied on.
    """
    if expect.role != "entry" or expect.kind not in {"table", "raster"} or not (out / META).exists():
        return None
    try:
        rest = Canonical.read(out)
        recheck_remains(rest, expect)
    except (IntegrityError, ValueError, TypeError, KeyError, IndexError):
        return None
    return rest


def _task(path: Path, form: str, expect: Expectation, out: Path, size: int, limits: Limits, threads: int) -> Task:
    values = 8 * (expect.cells() or 0)
    memory = 512 * _MEBI + 12 * size + 6 * values
    if expect.role != "entry":
        memory = max(memory, limits.memory)
    extra = size // 4_000_000 + values // 40_000_000
    output = max(256 * _MEBI, 64 * size, 4 * values) if expect.role == "entry" else 1 << 44
    return Task(
        path=path.resolve(),
        format=form,
        expect=expect.to_json(),
        out=out.resolve(),
        memory=min(memory, limits.memory + 6 * values) if expect.role == "entry" else memory,
        cpu=limits.cpu + extra,
        wall=float(limits.wall + 2 * extra),
        output=output,
        threads=threads,
    )


def _obey(answer: dict[str, Any], path: Path) -> None:
    if answer.get("note"):
        _LOG.warning("intake of %s: %s", path.name, str(answer["note"])[:500])
    if answer.get("status") == "ok":
        return
    if answer.get("status") != "rejected":
        raise EngineFault(f"the reader failed: {str(answer.get('note', 'no reason given'))[:500]}")
    try:
        findings = [_finding(item) for item in answer["findings"][:_MAX_FINDINGS]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineFault("the reader's findings are not well-formed") from error
    if not findings:
        raise EngineFault("the reader refused without a finding")
    raise Rejected(findings)


def _finding(item: dict[str, Any]) -> Finding:
    if item["code"] not in CODES:
        raise ValueError(f"unknown code {item['code']!r}")
    return Finding(item["code"], str(item["message"])[:1000], dict(item["where"]), str(item["hint"])[:1000])
