"""Currencies and minor units (ISO 4217). Amounts are integers of the minor unit; floats never hold money."""

import re
from decimal import Decimal

# ISO 4217:2015: currencies whose minor unit is not a hundredth.
NO_DECIMALS = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
    "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
)  # fmt: skip
THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_EXPONENTS = {
    **dict.fromkeys(NO_DECIMALS, 0),
    **dict.fromkeys(THREE_DECIMALS, 3),
}
MAX_MINOR = 2**63 - 1


def is_currency(code: str) -> bool:
    """Whether ``code`` has the form of an ISO 4217 code (three capital letters)."""
    return re.fullmatch(r"[A-Z]{3}", code) is not None


def exponent(currency: str) -> int:
    """Digits after the decimal point: 2 for USD, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency, 2)


def to_minor(amount: Decimal, currency: str) -> int:
    """Exact minor units of an amount: 105000.00 USD is 10500000.

    Raises:
        ValueError: the amount has a fraction of a minor unit or does not fit 63 bits.
    """
    scaled = amount.scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} {currency} is not a whole number of minor units ({exponent(currency)} decimals)")
    minor = int(scaled)
    if abs(minor) > MAX_MINOR:
        raise ValueError(f"{amount} {currency} is too large")
    return minor


def from_minor(minor: int, currency: str) -> Decimal:
    """The amount as a decimal with the currency's digits: 10500000 USD is 105000.00."""
    return Decimal(minor).scaleb(-exponent(currency))
