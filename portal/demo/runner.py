"""The whole demo in one process: a local cluster, the dispatcher beside it, the programme played."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from portal.adapters.engine import open_engine
from portal.adapters.work import Engine
from portal.demo import boards, play
from portal.demo.cast import assemble
from portal.demo.play import Say, Stage
from portal.demo.programme import PROGRAMME
from portal.dispatch import Dispatcher
from portal.embedded import Keys, engine_environment
from portal.services.context import Context
from portal.settings import Settings


def run(ctx: Context, *, settings: Settings, keys: Keys | None, workers: int, say: Say) -> None:
    """Play what is missing of the demo on a migrated instance. Safe to interrupt and to call again.

    Raises:
        EngineFault: an entry got no score.
    """
    os.environ.update(engine_environment(settings, keys))
    cast = assemble(ctx)
    say(f"accounts and passwords: {cast.file}")
    settings.scratch_root.mkdir(parents=True, exist_ok=True)
    say(f"starting {workers} scoring processes")
    with open_engine(settings, workers=workers) as engine, dispatching(ctx, engine):
        stage = Stage(ctx, engine, cast, settings.scratch_root, datetime.now(UTC), say)
        for challenge in PROGRAMME:
            play.publish(stage, challenge)
            play.enter_all(stage, challenge)
        counts = {challenge.slug: play.await_scores(stage, challenge) for challenge in PROGRAMME}
        say(f"{sum(counts.values())} entries scored")
        play.close_and_judge(stage, next(challenge for challenge in PROGRAMME if challenge.slug == play.CLOSED))
        boards.remember(ctx, counts)


@contextmanager
def dispatching(ctx: Context, engine: Engine) -> Iterator[None]:
    """A dispatcher in a thread of this process for as long as the block lasts."""
    dispatcher = Dispatcher(ctx, engine)
    loop = threading.Thread(target=dispatcher.run, name="dispatcher")
    loop.start()
    try:
        yield
    finally:
        dispatcher.stop.set()
        loop.join()
