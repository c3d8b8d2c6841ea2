"""The engine's side of the fork server: start it clean, hand it files, believe nothing it says without a check.

One server a process (``shared``), started on first use and again whenever it has died; it ends with the process that
started it. Safe to use from several threads, from Dask workers and after a fork of the caller.
"""

import atexit
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datasets.errors import EngineFault

GRACE = 20.0  # seconds the server has beyond a child's wall clock
KEPT = ("NUMBA_CACHE_DIR",)  # where compiled loops are kept when the code's own folder cannot be written
LOOK = 0.2  # seconds between two looks whether a file's answer is still wanted
STARTUP = 120.0  # seconds to import the readers on a cold and busy machine
_LENGTH = struct.Struct("!Q")
_MAX_ANSWER = 4 << 20
# Every driver of GDAL 3.4–3.13 but GTiff and MEM: skipped before the library starts.
SKIPPED_DRIVERS = (
    "AAIGrid,ACE2,ADBC,ADRG,AIG,AIVector,AVCBin,AVCE00,AirSAR,AmigoCloud,BAG,BIGGIF,BLX,BMP,BSB,BT,BYN,CAD,CALS,"
    "CEOS,COASP,COG,COSAR,CPG,CSV,CSW,CTG,CTable2,Carto,DAAS,DERIVED,DGN,DIMAP,DIPEx,DOQ1,DOQ2,DTED,DXF,ECRGTOC,"
    "ECW,EDIGEO,EEDA,EEDAI,EHdr,EIR,ELAS,ENVI,ERS,ESAT,ESRI Shapefile,ESRIC,ESRIJSON,EXR,Elasticsearch,FAST,FIT,"
    "FITS,FlatGeobuf,GDALG,GFF,GIF,GML,GNMDatabase,GNMFile,GPKG,GPSBabel,GPX,GRASSASCIIGrid,GRIB,GS7BG,GSAG,GSBG,"
    "GSC,GTFS,GTI,GTX,GXF,GenBin,GeoJSON,GeoJSONSeq,GeoRSS,HDF4,HDF4Image,HDF5,HDF5Image,HF2,HFA,HTTP,HEIF,ILWIS,"
    "IRIS,ISCE,ISG,ISIS2,ISIS3,Idrisi,JAXAPALSAR,JDEM,JML,JP2ECW,JP2KAK,JP2OpenJPEG,JPEG,JPEGXL,JSONFG,KEA,KML,"
    "KMLSUPEROVERLAY,KRO,L1B,LAN,LCP,LIBERTIFF,LIBKML,LOSLAS,LVBAG,Leveller,MAP,MBTiles,MFF,MFF2,MRF,MSGN,"
    "MSSQLSpatial,MVT,MapInfo File,MapML,Memory,MiraMonVector,MySQL,NDF,NGSGEOID,NGW,NITF,NOAA_B,NSIDCbin,NTv2,"
    "NWT_GRC,NWT_GRD,OAPIF,ODBC,ODS,OGCAPI,OGR_GMT,OGR_PDS,OGR_VRT,OSM,OZI,OpenFileGDB,PAux,PCIDSK,PCRaster,PDF,"
    "PDS,PDS4,PGDUMP,PGeo,PLMOSAIC,PLSCENES,PMTiles,PNG,PNM,PRF,Parquet,Arrow,PostGISRaster,PostgreSQL,R,RCM,RIK,"
    "RMF,ROI_PAC,RPFTOC,RRASTER,RS2,RST,Rasterlite,RDB,S102,S104,S111,S57,SAFE,SAGA,SAR_CEOS,SDTS,SENTINEL2,SGI,"
    "SIGDEM,SNAP_TIFF,SNODAS,SQLite,SRP,SRTMHGT,STACIT,STACTA,SXF,Selafin,TGA,TIL,TSX,Terragen,TileDB,TopoJSON,"
    "USGSDEM,VDV,VFK,VICAR,VRT,WAsP,WCS,WEBP,WFS,WMS,WMTS,XLS,XLSX,XODR,XPM,XYZ,ZMap,Zarr,netCDF"
)


def clean_environment() -> dict[str, str]:
    """The server's whole environment: no secret of the caller passes."""
    one = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "GDAL_NUM_THREADS"), "1"
    )
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {
        **kept,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "random",
        "GDAL_SKIP": SKIPPED_DRIVERS,
        "OGR_SKIP": SKIPPED_DRIVERS,
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_DRIVER_PATH": "disable",
        "PROJ_NETWORK": "OFF",
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "HDF5_PLUGIN_PATH": "::",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "2",
        **one,
    }


@dataclass(frozen=True, slots=True)
class Task:
    """One file for one child: see ``datasets.walls.Room`` for the units; ``wall`` in seconds of the clock."""

    path: Path
    format: str
    expect: str
    out: Path
    memory: int
    cpu: int
    wall: float
    output: int
    threads: int = 1


class Sandbox:
    """A running fork server, or the promise of one; ``module`` is what it runs."""

    def __init__(self, module: str = "datasets.formats") -> None:
        self._module = module
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._walls: dict[str, bool] = {}

    def run(self, task: Task, *, attend: Callable[[], None] | None = None) -> dict[str, Any]:
        """Read one file in a fresh child; the answer has ``status`` ok, rejected or fault.

        ``attend`` is called a few times a second while the child reads; an error of it ends the child and is raised.

        Raises:
            EngineFault: no server could be started, or it died twice over this file.
        """
        body = json.dumps({name: _plain(getattr(task, name)) for name in Task.__slots__}).encode()
        for last in (False, True):
            try:
                return self._ask(body, task.wall + GRACE, attend)
            except (OSError, ValueError, TypeError) as error:
                self.close()
                if last:
                    raise EngineFault(f"the reading process died: {type(error).__name__}: {error}") from error
        raise AssertionError

    def walls(self) -> dict[str, bool]:
        """Which walls stand around the children; starts the server when it is not running."""
        self._link()
        return dict(self._walls)

    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def close(self) -> None:
        """End the server and all its children."""
        with self._lock:
            process, control, self._process, self._control = self._process, self._control, None, None
        if control is not None:
            control.close()
        if process is not None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _reap(self) -> None:
        process, self._process, self._control = self._process, None, None
        if process is not None:
            process.kill()
            process.wait()

    def _ask(self, body: bytes, patience: float, attend: Callable[[], None] | None) -> dict[str, Any]:
        control = self._link()
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                socket.send_fds(control, [b"r"], [theirs.fileno()])
            ours.settimeout(patience)
            ours.sendall(_LENGTH.pack(len(body)) + body)
            if attend is not None:
                _await(ours, attend, time.monotonic() + patience)
            (size,) = _LENGTH.unpack(_receive(ours, 8))
            if size > _MAX_ANSWER:
                raise ValueError("the answer is too long")
            answer = json.loads(_receive(ours, size))
        if not isinstance(answer, dict):
            raise TypeError("the answer is not an object")
        return answer

    def _link(self) -> socket.socket:
        with self._lock:
            if self._control is None or self._process is None or self._process.poll() is not None:
                self._start()
            if self._control is None:
                raise EngineFault("the reading process could not be started")
            return self._control

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-s", "-P", "-m", self._module, str(theirs.fileno())]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    env=clean_environment(),
                    cwd="/",
                    close_fds=True,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            ours.settimeout(STARTUP)
            self._walls = json.loads(_line(ours))
            ours.settimeout(None)
            self._control = ours
        except (OSError, ValueError) as error:
            ours.close()
            self._reap()
            raise EngineFault(f"the reading process could not be started: {error}") from error


def _await(link: socket.socket, attend: Callable[[], None], end: float) -> None:
    """Wait until ``link`` has something to say or ``end`` has come."""
    heard = select.poll()
    heard.register(link, select.POLLIN)
    while time.monotonic() < end and not heard.poll(LOOK * 1000):
        attend()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _receive(link: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = link.recv(min(size - len(data), 1 << 20))
        if not part:
            raise ConnectionError("the reading process closed the connection")
        data += part
    return bytes(data)


def _line(link: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = link.recv(4096)
        if not part:
            raise ConnectionError("it ended while starting")
        data += part
    return data


_FIRST = threading.Lock()


@cache
def _sandbox_of(_process: int) -> Sandbox:
    sandbox = Sandbox()
    atexit.register(sandbox.close)
    return sandbox


def shared() -> Sandbox:
    """The sandbox of this process; a forked child gets its own."""
    with _FIRST:
        return _sandbox_of(os.getpid())


def probe() -> Mapping[str, bool]:
    """Which walls are active here: rlimits, landlock, network, capabilities, seccomp."""
    return shared().walls()
