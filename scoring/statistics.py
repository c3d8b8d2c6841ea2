"""Block statistics: the states of every family per block and side, as they are kept with a report.

On disk they are one ``.npz`` of plain arrays: for each family and field the values of all blocks end to end, their
shapes beside them, and an index in JSON. No pickles; the same states give the same bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from datasets.errors import IntegrityError
from scoring.state import BlockKey, State

States = Mapping[str, State]
BlockStates = dict[BlockKey, States]


def pack(blocks: Mapping[BlockKey, States]) -> bytes:
    """The block statistics as bytes; blocks keep their order."""
    keys = list(blocks)
    fields: dict[tuple[str, str], dict[int, Any]] = {}
    for place, key in enumerate(keys):
        for family, state in blocks[key].items():
            for name, array in state.items():
                fields.setdefault((family, name), {})[place] = np.asarray(array)
    arrays: dict[str, Any] = {}
    columns = []
    for number, ((family, name), by_block) in enumerate(sorted(fields.items())):
        values = list(by_block.values())
        columns.append(
            {"family": family, "field": name, "blocks": list(by_block), "shapes": [list(v.shape) for v in values]}
        )
        arrays[f"f{number}"] = np.concatenate([v.ravel() for v in values])
    index = json.dumps({"blocks": keys, "columns": columns}, sort_keys=True).encode()
    arrays["index"] = np.frombuffer(index, dtype=np.uint8)
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def unpack(data: bytes) -> BlockStates:
    """The block statistics of ``pack``.

    Raises:
        IntegrityError: the bytes are not block statistics.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            index = json.loads(arrays["index"].tobytes())
            states: list[dict[str, State]] = [{} for _ in index["blocks"]]
            for number, column in enumerate(index["columns"]):
                _spread(arrays[f"f{number}"], column, states)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile) as error:
        raise IntegrityError(f"these are no block statistics: {error}") from error
    return {(key, side): state for (key, side), state in zip(index["blocks"], states, strict=True)}


def _spread(values: Any, column: Mapping[str, Any], states: list[dict[str, State]]) -> None:
    start = 0
    for block, shape in zip(column["blocks"], column["shapes"], strict=True):
        stop = start + int(np.prod(shape, dtype=np.int64))
        states[block].setdefault(column["family"], {})[column["field"]] = values[start:stop].reshape(shape)
        start = stop
