"""The stable codes of findings, and the collector that keeps a list of them short.

A finding says what is wrong in an uploaded file, where, and how to mend it; it never holds a value of the truth.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from datasets.errors import Finding, Rejected

CODES: Mapping[str, str] = MappingProxyType(
    {
        "ambiguous-layer": "A file holds several layers or variables and it is not clear which one is meant.",
        "crashed": "Reading the file ended the reader; the file is damaged or built to do harm.",
        "duplicate-column": "A column name stands in the header more than once.",
        "duplicate-id": "The same id stands in more than one row.",
        "duplicate-label": "The same coordinate label stands more than once along a dimension.",
        "empty-file": "The file holds no data.",
        "extra-id": "A row has an id the challenge does not ask for.",
        "geographic-crs": "Coordinates are in degrees where a projected CRS is needed, because distances are measured.",
        "invalid-geometry": "A geometry crosses itself, is empty, open or of another type; it is never repaired.",
        "missing-cells": "Cells the challenge asks for hold no value.",
        "missing-chunks": "Part of an array was never written.",
        "missing-column": "A column the challenge needs is not there.",
        "missing-id": "An id of the template has no row.",
        "missing-value": "A cell is empty.",
        "missing-variable": "A variable, dimension or coordinate the challenge needs is not there.",
        "no-crs": "The file does not say which coordinate reference system it uses.",
        "not-a-number": "A value that has to be a number is not written as one.",
        "not-finite": "A value is NaN or infinite.",
        "out-of-range": "A value lies outside the range of the challenge.",
        "outside-crs": "A coordinate cannot be transformed to the challenge's CRS.",
        "probabilities-do-not-sum": "The class probabilities of a row do not add up to 1 (relative tolerance 1e-6).",
        "probability-out-of-range": "A probability lies outside 0 to 1.",
        "resample-unsupported": "The challenge asks for resampling, which is not done here; send the exact grid.",
        "suspicious-structure": "The file refers to others, hides code, or is built as no ordinary writer builds it.",
        "text-too-long": "A text value is longer than the reader takes.",
        "too-large": "The file, or what it unpacks to, is larger than the challenge allows.",
        "too-many-columns": "The file has more columns than the reader takes.",
        "too-many-features": "The file has more features or vertices than the challenge allows.",
        "too-many-rows": "The file has far more rows than the challenge asks for.",
        "too-much-memory": "Reading the file needs more memory than an entry may use.",
        "too-slow": "Reading the file takes longer than an entry may take.",
        "unknown-class": "A class is not among the classes of the challenge.",
        "unreadable": "The file is damaged, or is not what its format says.",
        "unsupported": "The file uses an encoding, compression or data type the reader does not take.",
        "wrong-crs": "The file is in another coordinate reference system than the challenge.",
        "wrong-format": "The file is not in one of the formats of the challenge.",
        "wrong-labels": "The coordinate labels along a dimension are not those of the challenge.",
        "wrong-row": "A row has more or fewer fields than the header.",
        "wrong-shape": "The size of the grid or array is not that of the challenge.",
        "wrong-transform": "The cells of the grid do not lie where the challenge's cells lie.",
        "wrong-type": "Values are of a type that cannot stand for what is asked.",
    }
)
SHOWN = 20


@dataclass
class Findings:
    """Collects findings of one file: at most ``SHOWN`` a code, the rest only counted."""

    _shown: list[Finding] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, code: str, message: str, where: Mapping[str, Any] | None = None, *, hint: str = "") -> None:
        """Note one finding.

        Raises:
            KeyError: the code is not in ``CODES`` (a mistake of ours).
        """
        CODES[code]
        seen = self._counts[code] = self._counts.get(code, 0) + 1
        if seen <= SHOWN:
            self._shown.append(Finding(code, message, dict(where or {}), hint))

    def add_each(
        self,
        code: str,
        places: Iterable[Any],
        make: Callable[[Any], tuple[str, Mapping[str, Any]]],
        *,
        total: int,
        hint: str = "",
    ) -> None:
        """Note ``total`` findings of one code; ``make`` words only those that are shown."""
        CODES[code]
        if total == 0:
            return
        room = max(SHOWN - self._counts.get(code, 0), 0)
        for place, _ in zip(places, range(room), strict=False):
            message, where = make(place)
            self._shown.append(Finding(code, message, dict(where), hint))
        self._counts[code] = self._counts.get(code, 0) + total

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Take over the findings of a part of the reading that is given up; what follows goes on."""
        try:
            yield
        except Rejected as refused:
            for finding in refused.findings:
                self.add(finding.code, finding.message, finding.where, hint=finding.hint)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def all(self) -> tuple[Finding, ...]:
        """The findings shown, and one line with the count for each code that has more."""
        rest = [
            Finding(code, f"{count} findings of this kind in all; the first {SHOWN} are shown.", {"count": count})
            for code, count in self._counts.items()
            if count > SHOWN
        ]
        return (*self._shown, *rest)

    def stop_if_any(self) -> None:
        """Raises:
        Rejected: with everything found so far, if anything was.
        """
        if self:
            raise Rejected(self.all())


def reject(code: str, message: str, where: Mapping[str, Any] | None = None, *, hint: str = "") -> Rejected:
    """A rejection for one reason that makes further reading pointless."""
    CODES[code]
    return Rejected([Finding(code, message, dict(where or {}), hint)])
