"""Sealing needs no secret, and what is sealed shows nothing of its content."""

import io
import subprocess
import sys

import pytest

from datasets.errors import VaultError
from datasets.sealing import generate_keys, recipient_of, seal


def test_keys_come_in_matching_pairs_and_are_new_each_time() -> None:
    identity, recipient = generate_keys()
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert recipient.startswith("age1")
    assert recipient_of(f"  {identity}\n") == recipient
    assert generate_keys()[0] != identity


def test_a_seal_hides_its_content_and_never_repeats_itself() -> None:
    _, recipient = generate_keys()
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        seal(io.BytesIO(b"the gold is here" * 10_000), target, recipient)
    assert b"gold" not in first.getvalue()
    assert first.getvalue() != second.getvalue()


@pytest.mark.parametrize("text", ["", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQQQ"])
def test_a_wrong_recipient_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(VaultError, match="starts with age1"):
        seal(io.BytesIO(b"x"), io.BytesIO(), text)


def test_a_wrong_identity_is_not_repeated_in_the_error() -> None:
    with pytest.raises(VaultError) as caught:
        recipient_of("AGE-SECRET-KEY-1SECRET")
    assert "SECRET-KEY-1SECRET" not in str(caught.value)


def test_sealing_and_storing_load_nothing_heavy() -> None:
    heavy = {"numpy", "rasterio", "xarray", "geopandas", "dask", "datasets.truth", "datasets.canonical"}
    light = ", ".join(f"datasets.{name}" for name in ("sealing", "store", "manifest", "release", "edits", "unpack"))
    code = f"import sys, {light}; print({heavy!r} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
