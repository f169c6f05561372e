"""Count the words of a text."""

from __future__ import annotations

import sys
from collections import Counter

__version__ = "1.2.0"


def tally(text: str) -> Counter[str]:
    """Return how often each word occurs, ignoring case and punctuation around words."""
    words = (word.strip(".,;:!?\"'()").lower() for word in text.split())
    return Counter(word for word in words if word)


def main() -> None:
    """Print the words of standard input, most frequent first."""
    for word, count in tally(sys.stdin.read()).most_common():
        print(f"{count}\t{word}")
