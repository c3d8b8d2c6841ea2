"""Names, addresses and passwords: what is accepted, and the form in which they are compared."""

import re
import unicodedata

from portal.domain.errors import Invalid

MIN_PASSWORD = 12
MAX_PASSWORD = 1024
MAX_NAME = 80
_ADDRESS = re.compile(
    r"[^@\s<>\",;:\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
# Common passwords of twelve characters and more, as breach lists have them, compared without case.
_COMMON = frozenset(
    [
        "123456789012",
        "1234567890123",
        "12345678901234",
        "123456789123",
        "1234567891011",
        "111111111111",
        "000000000000",
        "123123123123",
        "112233445566",
        "password1234",
        "password12345",
        "password123456",
        "password123!",
        "passwordpassword",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdfgh",
        "qwerty123456",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "1qaz2wsx3edc4rfv",
        "q1w2e3r4t5y6",
        "qazwsxedcrfv",
        "zaq12wsxcde3",
        "abcdefghijkl",
        "abc123abc123",
        "abcd12345678",
        "iloveyou1234",
        "iloveyouforever",
        "letmeinletmein",
        "welcome12345",
        "welcome123456",
        "administrator",
        "adminadminadmin",
        "changemechangeme",
        "trustno1trustno1",
        "football1234",
        "baseball1234",
        "princess1234",
        "superman1234",
        "unknownunknown",
        "correcthorsebatterystaple",
    ]
)


def email_key(email: str) -> str:
    """The form in which addresses are compared: NFKC, no case."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def name_key(name: str) -> str:
    """The form in which names are compared: NFKC, no case, no accents, single blanks."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(char for char in folded if not unicodedata.combining(char)).split())


def name_fault(name: str) -> str | None:
    """What is wrong with a display name, or None."""
    if not name_key(name):
        return "Enter the name that others will see."
    if len(name) > MAX_NAME:
        return f"Use at most {MAX_NAME} characters."
    if any(unicodedata.category(char) in {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"} for char in name):
        return "Use letters, digits, punctuation and blanks only."
    if any(len(_scripts(word)) > 1 for word in name.split()):
        return "Write each word in one alphabet, so that names cannot be mistaken for each other."
    return None


def email_fault(email: str) -> str | None:
    """What is wrong with an address, or None."""
    if len(email) > 254 or not _ADDRESS.fullmatch(email.strip()):
        return "Enter an e-mail address in the form name@example.org."
    return None


def password_fault(password: str, *, own: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a password, or None. ``own``: texts of the person's that it must not consist of."""
    if len(password) < MIN_PASSWORD:
        return f"Use at least {MIN_PASSWORD} characters; a few unrelated words work well."
    if len(password) > MAX_PASSWORD:
        return f"Use at most {MAX_PASSWORD} characters."
    folded = password.casefold()
    if folded in _COMMON or len(set(folded)) < 5 or folded in {text.casefold() for text in own}:
        return "This password is easy to guess. Use a few unrelated words."
    return None


def check_new_account(name: str, email: str, password: str) -> None:
    """Raises Invalid naming every field at fault."""
    faults = {
        "name": name_fault(name),
        "email": email_fault(email),
        "password": password_fault(password, own=(name, email)),
    }
    found = {field: text for field, text in faults.items() if text}
    if found:
        raise Invalid(found)


def _scripts(word: str) -> set[str]:
    names = (unicodedata.name(char, "") for char in word if char.isalpha())
    return {name.split()[0] for name in names} & {"LATIN", "CYRILLIC", "GREEK"}
