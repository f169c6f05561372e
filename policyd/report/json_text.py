"""JSON as policyd prints it: pure ASCII, keys in the order given, indented."""

from __future__ import annotations

import json


def render_json(document: object) -> str:
    """Return `document` as JSON text that ends in a newline.

    ASCII only, so no control, bidi or zero-width character reaches a terminal; and without `##`, which opens a command
    of some CI systems anywhere in a line (`policyd.report.text`). Both use JSON's own escapes: a parser reads what
    was there.
    """
    text = json.dumps(document, ensure_ascii=True, indent=2, allow_nan=False)
    # '#' only ever stands inside a string of JSON text, never directly after a lone backslash. DEL is ASCII and not
    # escaped by json.
    return text.replace("##", "#\\u0023").replace("\x7f", "\\u007f") + "\n"
