"""A synthetic gold camp: geology, faults, magnetics, till geochemistry and deposits from one seed.

Nothing here is measured. The camp follows the textbook picture of orogenic gold in a greenstone belt: deposits sit
where second-order faults cut contacts of competent and reactive rocks, wherever an unseen pulse of fluid passed;
glacial till carries their gold down-ice; thick cover hides some of them. The public layers are what a survey would see.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.transform import Affine
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, shift

Floats = npt.NDArray[np.float64]
CELL = 100.0  # metres
HEIGHT, WIDTH = 200, 240
EPSG = 26915  # NAD83 / UTM zone 15N
UNITS = ("granitoid", "mafic volcanics", "felsic volcanics", "ultramafic volcanics", "sediments and iron formation")
SUSCEPTIBILITY = np.array([4.0, 22.0, 7.0, 48.0, 70.0])  # 1e-3 SI, typical of each unit
FAVOUR = np.array([0.15, 1.0, 0.7, 0.9, 0.55])  # how readily each unit hosts a deposit


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault trace in map coordinates (n, 2), metres; ``order`` 1 for crustal breaks, 2 for splays."""

    trace: Floats
    order: int


@dataclass(frozen=True, slots=True)
class Deposits:
    """Deposit centres (n, 2) in metres, endowment in troy ounces, and whether each is already known."""

    places: Floats
    ounces: Floats
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Camp:
    """All layers on one grid (HEIGHT, WIDTH), north up, cells of CELL metres."""

    transform: Affine
    geology: npt.NDArray[np.uint8]
    faults: tuple[Fault, ...]
    fault_distance: Floats
    magnetics: Floats
    gold: Floats
    deposits: Deposits


def make_camp(seed: int, *, west: float, north: float) -> Camp:
    """Build the camp whose upper left corner is (west, north). The same seed gives the same camp."""
    rng = np.random.default_rng(seed)
    transform = Affine(CELL, 0.0, west, 0.0, -CELL, north)
    across = _across_strike(rng)
    geology = _geology(rng, across)
    faults = _faults(rng)
    distance = _distance(faults)
    contact = distance_transform_edt(~_contacts(geology)) * CELL
    fluid = np.exp(1.1 * _noise(rng, 22.0))
    strength = np.exp(-distance / 450.0) * (0.25 + np.exp(-contact / 300.0)) * FAVOUR[geology] * fluid
    cells, ounces = _place_deposits(rng, strength)
    cover = np.clip(14.0 + 12.0 * _noise(rng, 16.0), 0.0, None)
    known = _known(rng, cells, ounces, cover)
    return Camp(
        transform=transform,
        geology=(geology + 1).astype(np.uint8),
        faults=tuple(Fault(_to_map(fault.trace, transform), fault.order) for fault in faults),
        fault_distance=np.round(distance),
        magnetics=_magnetics(rng, geology, distance),
        gold=_till_gold(rng, cells, ounces, cover),
        deposits=Deposits(_to_map(cells + rng.uniform(-0.45, 0.45, cells.shape), transform), ounces, known),
    )


def _noise(rng: np.random.Generator, scale: float) -> Floats:
    """A Gaussian random field of unit variance, smooth over ``scale`` cells."""
    pad = int(3 * scale)
    field = gaussian_filter(rng.standard_normal((HEIGHT + 2 * pad, WIDTH + 2 * pad)), scale)
    inner = field[pad:-pad, pad:-pad]
    return np.asarray((inner - inner.mean()) / inner.std())


def _across_strike(rng: np.random.Generator) -> Floats:
    """Folded distance across an east-north-east strike, in cells: equal values follow the layering."""
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    straight = row * np.cos(0.35) + column * np.sin(0.35)
    return np.asarray(straight + 16.0 * _noise(rng, 26.0) + 4.0 * _noise(rng, 8.0))


def _geology(rng: np.random.Generator, across: Floats) -> npt.NDArray[np.intp]:
    """Unit number per cell, 0 … 4: bands across strike, cut by two granitoid plutons."""
    edges = across.min() + np.cumsum(rng.uniform(12.0, 34.0, 16))
    order = np.array([1, 2, 1, 3, 1, 4, 1, 2, 3, 1, 4, 2, 1, 3, 1, 4, 1])
    units = order[np.digitize(across, edges)]
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    for centre, radius in (((40.0, 190.0), 34.0), ((165.0, 45.0), 42.0)):
        ragged = np.hypot(row - centre[0], (column - centre[1]) / 1.4) + 5.0 * _noise(rng, 9.0)
        units = np.where(ragged < radius, 0, units)
    return np.asarray(units)


def _contacts(units: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    edge = np.zeros(units.shape, dtype=bool)
    edge[1:] |= units[1:] != units[:-1]
    edge[:, 1:] |= units[:, 1:] != units[:, :-1]
    return edge


def _faults(rng: np.random.Generator) -> tuple[Fault, ...]:
    """Three crustal breaks along strike and fourteen splays, as (column, row) traces in cells."""
    faults = []
    for middle in (48.0, 104.0, 158.0):
        columns = np.arange(-4.0, WIDTH + 5.0, 6.0)
        rows = middle - 0.28 * (columns - WIDTH / 2) + np.cumsum(rng.normal(0.0, 1.3, columns.size))
        faults.append(Fault(np.column_stack([columns, rows]), 1))
    for _ in range(14):
        start = faults[int(rng.integers(3))].trace[int(rng.integers(4, 38))]
        heading = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.2) + rng.choice([0.0, np.pi])
        steps = np.arange(0.0, rng.uniform(24.0, 70.0), 4.0)
        turn = heading + np.cumsum(rng.normal(0.0, 0.07, steps.size))
        line = start + np.cumsum(4.0 * np.column_stack([np.cos(turn), np.sin(turn)]), axis=0)
        faults.append(Fault(np.vstack([start, line]), 2))
    return tuple(faults)


def _distance(faults: tuple[Fault, ...]) -> Floats:
    """Metres from each cell centre to the nearest fault."""
    free = np.ones((HEIGHT, WIDTH), dtype=bool)
    for fault in faults:
        for a, b in zip(fault.trace[:-1], fault.trace[1:], strict=True):
            column, row = (a + (b - a) * np.linspace(0.0, 1.0, 25)[:, None]).round().astype(int).T
            inside = (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
            free[row[inside], column[inside]] = False
    return np.asarray(distance_transform_edt(free)) * CELL


def _place_deposits(
    rng: np.random.Generator, strength: Floats, *, count: int = 96, apart: float = 5.0
) -> tuple[Floats, Floats]:
    """Cells (column, row) drawn in proportion to the strength squared, never closer than ``apart`` cells; ounces."""
    chance = (strength**2).ravel()
    chosen: list[Floats] = []
    for flat in rng.choice(chance.size, size=4000, replace=False, p=chance / chance.sum()):
        place = np.array([flat % WIDTH, flat // WIDTH], dtype=float)
        edge = min(place[0], place[1], WIDTH - 1 - place[0], HEIGHT - 1 - place[1])
        if edge >= 3 and all(np.hypot(*(place - other)) >= apart for other in chosen):
            chosen.append(place)
        if len(chosen) == count:
            break
    cells = np.array(chosen)
    local = strength[cells[:, 1].astype(int), cells[:, 0].astype(int)]
    ounces = 60_000.0 * (local / np.median(local)) ** 0.8 * np.exp(1.1 * rng.standard_normal(count))
    return cells, np.round(ounces, -2) + 100.0


def _known(rng: np.random.Generator, cells: Floats, ounces: Floats, cover: Floats) -> npt.NDArray[np.bool_]:
    """What prospectors found: mostly the rich ones under thin cover. 38 of the deposits."""
    depth = cover[cells[:, 1].astype(int), cells[:, 0].astype(int)]
    ease = 0.6 * np.log(ounces) - 0.14 * depth + rng.gumbel(0.0, 1.0, ounces.size)
    known = np.zeros(ounces.size, dtype=bool)
    known[np.argsort(-ease)[:38]] = True
    return known


def _magnetics(rng: np.random.Generator, units: npt.NDArray[np.intp], distance: Floats) -> Floats:
    """Residual total field, nT: susceptibility seen from 150 m, lowered along altered faults, with heading noise."""
    body = SUSCEPTIBILITY[units] * (1.0 - 0.45 * np.exp(-distance / 250.0)) * np.exp(0.25 * _noise(rng, 5.0))
    field = 14.0 * gaussian_filter(body, 1.6) - 9.0 * gaussian_filter(body, 7.0)
    return np.asarray(np.round(field + 40.0 * _noise(rng, 40.0) + 6.0 * rng.standard_normal(body.shape), 1))


def _till_gold(rng: np.random.Generator, cells: Floats, ounces: Floats, cover: Floats) -> Floats:
    """Gold in till, ppb: plumes trailing south-west from every deposit, thinned by cover, over a noisy background."""
    source = np.zeros((HEIGHT, WIDTH))
    source[cells[:, 1].astype(int), cells[:, 0].astype(int)] = np.sqrt(ounces / 1000.0)
    plume = sum(
        np.exp(-step / 5.0) * shift(gaussian_filter(source, 1.2 + 0.18 * step), (0.55 * step, -0.83 * step), order=1)
        for step in range(16)
    )
    thinned = np.asarray(plume) * np.exp(-cover / 9.0)
    background = 3.0 * np.exp(0.45 * _noise(rng, 3.0) + 0.35 * rng.standard_normal(cover.shape))
    nugget = np.where(rng.random(cover.shape) < 0.004, rng.lognormal(3.2, 0.7, cover.shape), 0.0)
    return np.asarray(np.round(background + 14.0 * thinned + nugget, 1))


def _to_map(cells: Floats, transform: Affine) -> Floats:
    """Cell coordinates (column, row) of centres to map metres."""
    x = transform.c + (cells[:, 0] + 0.5) * CELL
    y = transform.f - (cells[:, 1] + 0.5) * CELL
    return np.round(np.column_stack([x, y]), 1)


def sample_cells(band: Floats, places: Floats, transform: Affine) -> Floats:
    """The value of ``band`` in the cell of each place (n, 2); places outside give the nearest cell."""
    column = (places[:, 0] - transform.c) / CELL - 0.5
    row = (transform.f - places[:, 1]) / CELL - 0.5
    return np.asarray(map_coordinates(band, np.vstack([row, column]), order=0, mode="nearest"))
