"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

from bkgpipe import __version__

project = "bkgpipe"
author = "The bkgpipe developers"
copyright = author  # noqa: A001
release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_design",
]
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
numpydoc_show_class_members = False
autodoc_typehints = "none"

html_theme = "pydata_sphinx_theme"
html_title = f"bkgpipe {__version__}"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
