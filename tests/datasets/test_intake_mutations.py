"""Good files with bits flipped, parts cut, moved, repeated or overwritten: refused, or read to a form that is whole."""

import os
import random
from pathlib import Path

import pytest

from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.intake import Limits, intake
from tests.datasets.controls import CONTROLS, Control

ROUNDS = int(os.environ.get("MOTHERLODE_MUTATIONS", "20"))
QUICK = Limits(cpu=4, wall=10)
SEED = int(os.environ.get("MOTHERLODE_SEED", "2026"))


def mutate(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        place = chance.randrange(len(data))
        length = chance.choice([1, 4, 64, 512])
        match chance.randrange(7):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                data[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:
                del data[place : place + length]
            case 3:
                other = chance.randrange(len(data))
                data[place : place + length] = data[other : other + length]
            case 4:
                data[place:place] = data[place : place + length]
            case 5:
                data[place : place + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00", b"\x00\x00\x00\x80"]
                )
            case _:
                del data[place if chance.random() < 0.3 else max(1, len(data) - length) :]
        if not data:
            return b"\x00"
    return bytes(data)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_mutants_are_refused_or_whole(control: Control, tmp_path: Path) -> None:
    good = control.make(tmp_path)
    template = intake(good, format=control.format, expect=control.expectation(), out=tmp_path / "template")
    expect = Expectation.tight(control.spec, template)
    chance = random.Random(f"{SEED}-{control.name}")
    content = good.read_bytes()
    mutant = tmp_path / "mutant"
    refused = 0
    for i in range(ROUNDS):
        mutant.write_bytes(mutate(content, chance))
        try:
            canonical = intake(mutant, format=control.format, expect=expect, out=tmp_path / f"out-{i}", limits=QUICK)
        except Rejected as refusal:
            refused += bool(refusal.findings)
        else:
            assert canonical.kind == template.kind
    assert refused > 0
