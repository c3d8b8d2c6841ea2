"""Forms of accounts, desks and rulings: what the browser sends, before any service sees it.

Rules of the business live in services; a form only checks that something was filled in and can be read.
"""

from datetime import UTC, datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DecimalField,
    EmailField,
    Field,
    FieldList,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget, TextInput

from portal.domain.errors import Invalid
from portal.domain.views import DraftEdit, PrizeEdit

LINE = 200
TEXT = 400_000
LIVES = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year"))
MAX_PRIZES = 50
SPARE_PRIZES = 3


class Form(FlaskForm):  # type: ignore[misc]
    """Base of every form; refusals of a service go back onto its fields."""

    def take(self, refusal: Invalid) -> None:
        """Put each field error of ``refusal`` on its field; what names no field here stands above the form."""
        for name, text in refusal.field_errors.items():
            field = self._fields.get(name)
            if field is None:
                self.form_errors.append(text)
            else:
                field.errors = [*field.errors, text if text[:1].isupper() else f"{field.label.text} {text}"]


class UtcField(Field):  # type: ignore[misc]
    """A moment as ``YYYY-MM-DD HH:MM`` in UTC; aware."""

    widget = TextInput()
    data: datetime | None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return self.data.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if self.data else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0].strip().removesuffix("UTC").strip() if valuelist else ""
        self.data = None
        try:
            moment = datetime.fromisoformat(text.replace(" ", "T", 1))
        except ValueError:
            raise ValueError("Write the date as 2026-03-31 12:00, in UTC.") from None
        self.data = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class ScopesField(SelectMultipleField):  # type: ignore[misc]
    """Checkboxes, one a scope."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class RegisterForm(Form):
    name = StringField("Name", [DataRequired("Enter your name."), Length(max=LINE)])
    email = EmailField("E-mail address", [DataRequired("Enter your e-mail address."), Length(max=LINE)])
    password = PasswordField("Password", [DataRequired("Choose a password."), Length(max=1000)])


class LoginForm(Form):
    email = EmailField("E-mail address", [DataRequired("Enter your e-mail address."), Length(max=LINE)])
    password = PasswordField("Password", [DataRequired("Enter your password."), Length(max=1000)])


class EmptyForm(Form):
    """Only the forgery token: a button."""


class ResetRequestForm(Form):
    email = EmailField("E-mail address", [DataRequired("Enter your e-mail address."), Length(max=LINE)])


class ResetForm(Form):
    password = PasswordField("New password", [DataRequired("Choose a password."), Length(max=1000)])


class PasswordForm(Form):
    current = PasswordField("Current password", [DataRequired("Enter your current password."), Length(max=1000)])
    new = PasswordField("New password", [DataRequired("Choose a new password."), Length(max=1000)])


class TokenForm(Form):
    name = StringField("Name of the token", [DataRequired("Say what the token is for."), Length(max=LINE)])
    scopes = ScopesField(
        "What it may do",
        [InputRequired("Choose at least one.")],
        choices=[
            SelectChoice("read", "Read challenges, files and boards"),
            SelectChoice("submit", "Sign agreements and send entries"),
            SelectChoice("sponsor", "Upload and publish challenges"),
            SelectChoice("judge", "Read the judges' desk and record rulings"),
        ],
        default=["read", "submit"],
    )
    days = SelectField(
        "Valid for", coerce=int, choices=[SelectChoice(days, label) for days, label in LIVES], default=30
    )


class DraftForm(Form):
    """Texts, dates and money of a draft; ``prizes-0`` is the amount for rank 1, empty where there is no prize."""

    title = StringField("Title", [DataRequired("Give the challenge a title."), Length(max=LINE)])
    summary = StringField("Summary", [DataRequired("Say in one line what is asked."), Length(max=400)])
    overview_md = TextAreaField("Overview", [DataRequired("Write what experts should know."), Length(max=TEXT)])
    agreement_md = TextAreaField("Data agreement", [DataRequired("Write what experts sign."), Length(max=TEXT)])
    opens = UtcField("Opens")
    closes = UtcField("Closes")
    currency = StringField(
        "Currency", [DataRequired("Name the currency."), Length(min=3, max=3, message="Three letters, such as USD.")]
    )
    pool = DecimalField(
        "Bounty pool", [InputRequired("Enter an amount, 0.00 if there is none."), NumberRange(min=0)], places=2
    )
    prizes = FieldList(DecimalField("Prize", [Optional(), NumberRange(min=0)], places=2), max_entries=MAX_PRIZES)

    @classmethod
    def of(cls, edit: DraftEdit) -> "DraftForm":
        """The form filled with what the draft says now, and a few empty prize rows."""
        amounts = {prize.rank: prize.amount for prize in edit.prizes}
        rows = min(MAX_PRIZES, max(amounts, default=0) + SPARE_PRIZES)
        return cls(data={**_shown(edit), "prizes": [amounts.get(rank + 1) for rank in range(rows)]})

    def changes(self) -> DraftEdit:
        """What the sponsor wants changed; call only after ``validate_on_submit``."""
        texts = {name: self._fields[name].data.strip() for name in ("title", "summary", "overview_md", "agreement_md")}
        return DraftEdit(
            **texts,
            opens=_moment(self.opens),
            closes=_moment(self.closes),
            pool=self.pool.data,
            prizes=tuple(PrizeEdit(rank, amount) for rank, amount in enumerate(self.prizes.data, start=1) if amount),
            currency=self.currency.data.strip().upper(),
        )


class GrantForm(Form):
    email = EmailField("E-mail address", [DataRequired("Enter the person's e-mail address."), Length(max=LINE)])
    role = RadioField(
        "Role",
        [InputRequired("Choose a role.")],
        choices=[SelectChoice("judge", "Judge"), SelectChoice("sponsor", "Sponsor")],
        default="judge",
    )


class CloseForm(Form):
    reason = StringField("Reason", [DataRequired("Say why it closes early; experts read it."), Length(max=400)])


class RulingForm(Form):
    verdict = RadioField(
        "Your ruling",
        [InputRequired("Choose a ruling.")],
        choices=[
            SelectChoice("verified", "Verified: the entry stands"),
            SelectChoice("rejected", "Rejected: the entry does not stand"),
            SelectChoice("question", "Question: something is to be answered first"),
        ],
    )
    reason = TextAreaField("Reason", [DataRequired("Give the reason; it is kept with the ruling."), Length(max=5000)])


class ConflictForm(Form):
    conflicted = BooleanField("I have a conflict of interest in this challenge")
    statement = StringField("Statement", [Length(max=1000)])


def _moment(field: UtcField) -> datetime:
    if field.data is None:
        raise ValueError(f"{field.name} is read before it was validated")
    return field.data


def _shown(edit: DraftEdit) -> dict[str, Any]:
    names = ("title", "summary", "overview_md", "agreement_md", "opens", "closes", "currency", "pool")
    return {name: getattr(edit, name) for name in names}
