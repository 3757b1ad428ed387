"""The forms of files: what a file of ours must hold, checked in one place before any of it is used.

`reading` opens a file and parses it, `schema` says what values may be, `files` says what each of our files holds. All
of them raise the error they are given with the file, the place in it, what is there and what was expected. No torch.
"""

from recurra.forms.reading import (
    AGAIN,
    DEEPEST,
    depth_beyond,
    json_bytes,
    json_file,
    read_bytes,
    read_json_text,
    read_text,
)
from recurra.forms.schema import (
    ANYTHING,
    NOTHING,
    TRUTH,
    Either,
    Form,
    Items,
    Number,
    Table,
    Text,
    Whole,
    checked,
    shown,
)

__all__ = [
    "AGAIN",
    "ANYTHING",
    "DEEPEST",
    "NOTHING",
    "TRUTH",
    "Either",
    "Form",
    "Items",
    "Number",
    "Table",
    "Text",
    "Whole",
    "checked",
    "depth_beyond",
    "json_bytes",
    "json_file",
    "read_bytes",
    "read_json_text",
    "read_text",
    "shown",
]
