"""The design system on a page of its own: every token and component in use."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template
from flask_wtf import FlaskForm
from wtforms import BooleanField, RadioField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from portal.domain.views import BoardRow, LedgerView, PrizeView, ProgressPoint, TimelineItem
from portal.web import charts

bp = Blueprint("design", __name__)
EPOCH = datetime(2026, 1, 5, 9, tzinfo=UTC)
TOKENS = (
    "paper", "sheet", "well", "ink", "ink-soft", "line", "contour", "gold", "gold-ink", "good", "bad", "water",
)  # fmt: skip
STATES = ("queued", "scoring", "scored", "rejected", "failed", "withdrawn", "upcoming", "open", "closed", "settled")


class ExampleForm(FlaskForm):  # type: ignore[misc]
    """Fields as they look, one of them with an error."""

    class Meta:
        csrf = False

    team = StringField("Team name")
    email = StringField("E-mail address")
    note = TextAreaField("Note")
    affiliated = RadioField(
        "Do you work for the sponsor?", choices=[SelectChoice("no", "No"), SelectChoice("yes", "Yes")]
    )
    accept = BooleanField("I accept the agreement.")


def example_rows() -> tuple[BoardRow, ...]:
    """A made-up board of twenty-four teams."""
    scores = [0.4 + 0.3 * ((i * 7) % 24) / 24 * (1 + ((i * 5) % 7) / 14) for i in range(24)]
    return tuple(
        BoardRow(
            rank=i + 1, rank_label=str(i + 1), team=f"Team {i + 1}", affiliated=i == 3, score=value, scores={},
            entries=1 + i % 5, last_at=EPOCH + timedelta(hours=i), is_me=i == 2,
        )
        for i, value in enumerate(sorted(scores, reverse=True))
    )  # fmt: skip


def example_charts() -> dict[str, str]:
    """Every chart with made-up numbers."""
    points = [
        ProgressPoint(EPOCH + timedelta(days=d), s, f"Team {d}")
        for d, s in ((0, 0.41), (2, 0.48), (3, 0.55), (9, 0.572), (16, 0.61))
    ]
    dates = [
        TimelineItem(EPOCH + timedelta(days=d), label, d < 20)
        for d, label in ((0, "Opens"), (40, "Closes"), (55, "Prizes"))
    ]
    return {
        "histogram": charts.histogram(example_rows(), "f1_micro"),
        "progress": charts.progress(points, "f1_micro"),
        "prizes": charts.prizes(
            [PrizeView(1, 10_500_000), PrizeView(2, 8_500_000), PrizeView(3, 5_000_000)], 30_000_000, "USD"
        ),
        "pool": charts.pool(LedgerView("USD", 30_000_000, 10_500_000, 8_500_000, ())),
        "timeline": charts.timeline(dates, EPOCH + timedelta(days=20)),
    }


@bp.get("/design")
def page() -> str:
    """Tokens, type, components, charts."""
    form = ExampleForm(formdata=None, data={"team": "", "email": "expert at example"})
    form.email.errors = ["Enter an e-mail address with an @, like name@example.org."]
    form.form_errors = []
    rows = example_rows()[:4]
    return render_template(
        "design/page.html", tokens=TOKENS, states=STATES, form=form, rows=rows, charts=example_charts(), now=EPOCH
    )
