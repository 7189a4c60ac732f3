"""Configuration of Sphinx: ``python -m sphinx -W --keep-going -b html doc doc/_build/html``."""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from math_core import LatexToMathML
from sklearn.neural_network import MLPClassifier, MLPRegressor

import skdropout

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order.py

project = "skdropout"
author = "The skdropout developers"
copyright = author
version = release = skdropout.__version__

extensions = [
    "myst_parser",  # CHANGELOG.md, CONTRIBUTING.md, and pages in Markdown
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "templates"]
templates_path = ["templates"]
default_role = "literal"
copybutton_prompt_text = ">>> |... "
copybutton_prompt_is_regexp = True
myst_heading_anchors = 3

# Names of other packages become links where their inventories can be fetched; elsewhere they stay names, without a
# warning, so that the build needs no network.
if "READTHEDOCS" in os.environ or "SKDROPOUT_DOC_LINKS" in os.environ:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "joblib": ("https://joblib.readthedocs.io/en/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

# The API reference: one page per name, at api/skdropout.NAME.html, where `_doc_link_template` looks for it.
autosummary_generate = True
autodoc_typehints = "none"
maximum_signature_line_length = 80  # longer ones have one parameter per line
toc_object_entries_show_parents = "hide"
numpydoc_class_members_toctree = False  # methods are documented on the page of their class

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"/models/",
    "subsection_order": [
        f"../examples/{name}" for name in ("start", "tuning", "uncertainty", "regularization", "scaling")
    ],
    "within_subsection_order": "gallery_order.TeachingOrder",
    "abort_on_example_error": True,
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skdropout",),
    "capture_repr": ("_repr_html_",),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "thumbnail_size": (560, 392),  # about twice the size on the page
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,  # these pages load scripts from the network
}

html_math_renderer = "mathml"  # see setup: browsers show MathML without a script, also without a network
html_theme = "pydata_sphinx_theme"
html_title = "skdropout: dropout for scikit-learn"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # the theme logs an error without it
html_theme_options = {
    "logo": {"text": "skdropout"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_prev_next": False,
    "show_toc_level": 2,
    # none next to the examples, whose lines are up to 120 characters long
    "secondary_sidebar_items": {"[!a]*": ["page-toc"], "api**": ["page-toc"]},
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"install": [], "coming_from": [], "faq": [], "changelog": [], "contributing": []}


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(inline_formula, None), block_renderers=(formula, None))
    app.connect("autodoc-process-docstring", adapt_inherited)
    app.connect("autodoc-process-docstring", group_parameters, priority=600)  # after numpydoc


to_mathml = LatexToMathML().convert_with_local_state


def inline_formula(translator, node):
    translator.body.append(to_mathml(node.astext(), displaystyle=False))
    raise nodes.SkipNode


def formula(translator, node):
    translator.body.append(f'<div class="formula">{to_mathml(node.astext(), displaystyle=True)}</div>')
    raise nodes.SkipNode


def adapt_inherited(app, what, name, obj, options, lines):
    """Docstrings inherited from scikit-learn refer to its versions, its guide and its glossary: keep the words."""
    words = (re.sub(r":(?:ref|term):`([^`<]+?)(?: <[^>]*>)?`", r"\1", line) for line in lines)
    lines[:] = [line for line in words if not line.strip().startswith(".. versionadded::")]


def group_parameters(app, what, name, obj, options, lines):
    """List the parameters of an estimator in three groups, dropout first; the docstring has them in signature order."""
    parents = {"skdropout.DropoutMLPClassifier": MLPClassifier, "skdropout.DropoutMLPRegressor": MLPRegressor}
    if name not in parents:
        return
    parent = parents[name]
    start = lines.index(":Parameters:")
    end = next(i for i in range(start + 1, len(lines)) if lines[i].startswith(":"))
    dropout, shared, additional, group = [], [], [], []
    for line in lines[start + 1 : end]:
        if entry := re.match(r"    \*\*(\w+)", line):
            if "dropout" in entry[1] or entry[1] in {"mask_sharing", "group_size", "input_groups"}:
                group = dropout
            else:
                group = shared if entry[1] in parent().get_params() else additional
        group.append(line)
    lines[start:end] = [
        *(":Dropout parameters:", "", *dropout),
        *(f":Parameters of {parent.__name__}:", "", *shared),
        *(":Additional parameters:", "", *additional),
    ]
