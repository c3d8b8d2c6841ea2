"""The web process: gunicorn around the application, with settings that suit uploads and slow phones."""

from typing import Any

from gunicorn.app.base import BaseApplication

from portal.app import create_app
from portal.settings import Settings


class WebServer(BaseApplication):  # type: ignore[misc]
    """gunicorn configured from code: threads, so that a slow upload does not block a reader."""

    def __init__(self, settings: Settings, *, bind: str, workers: int, threads: int) -> None:
        self._settings = settings
        self._options: dict[str, Any] = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "worker_class": "gthread",
            "timeout": 120,
            "graceful_timeout": 20,
            "keepalive": 15,
            "control_socket_disable": True,
            "proc_name": "motherlode web",
            "errorlog": "-",
            "loglevel": "warning",
        }
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        return create_app(self._settings)


def serve_web(settings: Settings, *, host: str, port: int, workers: int = 2, threads: int = 8) -> None:
    """Serve until a signal ends the process."""
    WebServer(settings, bind=f"{host}:{port}", workers=workers, threads=threads).run()
