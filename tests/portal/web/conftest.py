"""A real application on a real SQLite database."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache

from portal.app import create_app
from portal.domain.permissions import Actor
from portal.services.context import Context, open_context
from portal.settings import Settings
from portal.store import migrate
from tests.portal.web.browser import LintingClient, new_person, settings_for
from tests.portal.web.world import World, build


@pytest.fixture(scope="session")
def fresh_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an empty instance, to be copied; its database is made by the migrations."""
    folder = tmp_path_factory.mktemp("fresh")
    migrate.upgrade(settings_for(folder).url)
    return folder


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory, fresh_data: Path) -> World:
    """A world in a data folder of its own, to be copied."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copytree(fresh_data, folder, dirs_exist_ok=True)
    context = open_context(settings_for(folder))
    world = build(context)
    context.close()
    return world


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, fresh_data: Path) -> Settings:
    inhabited = "world" in request.fixturenames
    source = request.getfixturevalue("built_world").context.settings.data if inhabited else fresh_data
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    return settings_for(tmp_path)


@pytest.fixture
def context(settings: Settings) -> Iterator[Context]:
    opened = open_context(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates are compiled once, not by every application anew."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(settings: Settings, context: Context, compiled_templates: FileSystemBytecodeCache) -> Flask:
    made = create_app(settings, context=context)
    made.jinja_env.bytecode_cache = compiled_templates
    made.test_client_class = LintingClient
    made.testing = True
    made.config["PROPAGATE_EXCEPTIONS"] = False
    return made


@pytest.fixture
def client(app: Flask) -> LintingClient:
    return app.test_client()  # type: ignore[return-value]


@pytest.fixture
def person(context: Context) -> Actor:
    return new_person(context, "Expert A")


@pytest.fixture
def world(context: Context, built_world: World) -> World:
    return replace(built_world, context=context)
