"""The site of docs/: `make docs` builds it, with no network, and fails on a warning.

The pages stay plain Markdown, as a forge shows them; what the site needs besides is put in as they are read.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import recurra

project = "recurra"
version = release = recurra.__version__
root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "pages", "formulas", "reference"]
exclude_patterns = ["site"]
source_suffix = {".md": "markdown"}

myst_fence_as_directive = ["math"]
myst_heading_anchors = 6

autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "recurra"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
