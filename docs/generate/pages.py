"""Pages of the site that are made from what is written elsewhere: a hook of MkDocs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
_logger = logging.getLogger("mkdocs.hooks.pages")

# Files of the root, and what they are called on the site.
ROOT_FILES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "LICENSE": "LICENSE.txt",
    "NOTICE": "NOTICE.txt",
}

# The API reference: for each page its title and what it shows. A package is shown with all of its modules.
API = {
    "Verbs": ("s2l_core.verbs", "s2l_core.execution"),
    "Jobs": ("s2l_core.jobs",),
    "Events and errors": ("s2l_core.events", "s2l_core.errors"),
    "Worker": ("s2l_core.worker",),
    "Media": ("s2l_core.media",),
    "Footage": ("s2l_core.footage", "s2l_core.casting"),
    "Face": ("s2l_core.face",),
    "Speech": ("s2l_core.speech",),
    "Geometry": ("s2l_core.geometry",),
    "Canonical view": ("s2l_core.canonical",),
    "Model": ("s2l_core.model",),
    "Mouth": ("s2l_core.mouth",),
    "Whole head": ("s2l_core.whole_head",),
    "Training": ("s2l_core.training",),
    "Evaluation": ("s2l_core.evaluation",),
    "Files and cache": (
        "s2l_core.files",
        "s2l_core.kept",
        "s2l_core.fingerprints",
        "s2l_core.tensor_file",
        "s2l_core.json_text",
        "s2l_core.regular_files",
        "s2l_core.locks",
    ),
    "Machine": ("s2l_core.device", "s2l_core.estimates"),
}


def on_config(config: MkDocsConfig) -> None:
    """List the pages of the API reference in the navigation."""
    assert config.nav
    (section,) = (section for section in config.nav if "API reference" in section)
    section["API reference"] = [{title: api_page(title)} for title in API]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that have no file in docs/."""
    for source, name in ROOT_FILES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    for title, modules in API.items():
        text = "\n".join([f"# {title}\n", *(f"::: {module}\n" for module in modules)])
        files.append(File.generated(config, api_page(title), content=text))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    for source, name in ROOT_FILES.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}(?=[)#])", f"]({name}", markdown)
    return markdown.replace("](docs/", "](")


def api_page(title: str) -> str:
    return f"api/{title.lower().replace(' ', '_')}.md"


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Warn, which ends a strict build, of a page that makes a browser fetch something from another host."""
    for fetched in re.findall(r"<(?:script|link|img|iframe)[^>]* (?:src|href)=[\"']?(?:https?:)?//[^>]*>", output):
        _logger.warning(f"{page.file.src_uri} fetches from another host: {fetched}")
    return output
