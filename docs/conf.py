"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

from posixpath import dirname, join, normpath
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

from bkgpipe import __version__

project = "bkgpipe"
author = "The bkgpipe developers"
copyright = author  # noqa: A001
release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_design",
]
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
numpydoc_show_class_members = False
# attributes are listed by numpydoc, from the docstring of the class
autodoc_default_options = {"undoc-members": False}
autodoc_typehints = "none"

html_theme = "pydata_sphinx_theme"
html_title = f"bkgpipe {__version__}"
html_static_path = ["_static"]
html_css_files = ["bkgpipe.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("quickstart", "rivals", "developer")}
html_math_renderer = "mathml"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}


def _write_math(self: Any, node: nodes.Node) -> None:
    """Write a formula as MathML, which browsers show without a network."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _write_math_block(self: Any, node: nodes.Node) -> None:
    formula = tex2mathml(node.astext(), as_block=True)
    self.body.append(f'<div class="formula">{formula}</div>\n')
    raise nodes.SkipNode


def _name_links(app: Sphinx, doctree: nodes.document, here: str) -> None:
    """Show the title of a page where its file name is the text of a link."""
    for link in doctree.findall(nodes.reference):
        target = link.get("refuri", "").partition("#")[0].removesuffix(".html")
        page = normpath(join(dirname(here), target))
        if link.astext().endswith(".md") and page in app.env.titles:
            title = app.env.titles[page].astext()
            link.children = [nodes.inline(text=title)]


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the functions above."""
    app.add_html_math_renderer("mathml", (_write_math, None), (_write_math_block, None))
    app.connect("doctree-resolved", _name_links)
