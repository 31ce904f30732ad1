"""Bits of a consent string: base64url without padding, read from the front (IAB TCF and GPP share it)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

_LETTERS = re.compile(r"[A-Za-z0-9_-]*")
LONGEST = 16_384  # characters; consent to every vendor there is takes a few hundred


class MalformedString(ValueError):
    """A consent string that does not keep its specification; the message says where, and holds nothing of the string."""


class Bits:
    """The bits of one part of a string. Reading past the end raises MalformedString."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise MalformedString(f"it is longer than {LONGEST} characters")
        if not _LETTERS.fullmatch(text):
            raise MalformedString("it holds a character that is not base64url")
        filled = -len(text) % 4  # a letter is six bits, whatever it ends on
        self._value = int.from_bytes(urlsafe_b64decode(text + "A" * filled)) >> 6 * filled
        self.length, self.position = 6 * len(text), 0

    def read(self, width: int) -> int:
        """The next `width` bits as a number, most significant first."""
        end = self.position + width
        if end > self.length:
            raise MalformedString(f"it ends at bit {self.length}, where at least {end} are needed")
        self.position = end
        return self._value >> (self.length - end) & ((1 << width) - 1)

    def flag(self) -> bool:
        return self.read(1) == 1

    def places(self, width: int) -> int:
        """A bitfield, whose first bit is of number 1, as a set of numbers: bit n of the result is of number n."""
        return int(f"{self.read(width):0{width}b}"[::-1], 2) << 1 if width else 0

    def fibonacci(self) -> int:
        """A Fibonacci-coded number: the first two ones in a row end it."""
        total, low, high, before = 0, 1, 2, False
        while True:
            one = self.flag()
            if one and before:
                return total
            total += low if one else 0
            low, high, before = high, low + high, one
