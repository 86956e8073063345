"""Pages of the site that are made from what is written elsewhere: a hook of MkDocs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.generate.job_schema import job_schema
from s2l_core.errors import Speech2LipError

ROOT = Path(__file__).resolve().parents[2]
HINTS = {error.code: error.hint for error in Speech2LipError.__subclasses__()}
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

# The API reference: for each page its title and the modules that it shows. A package is shown with all of its modules.
API = {
    "Verbs": ["verbs", "execution"],
    "Jobs": ["jobs", "results"],
    "Events and errors": ["events", "errors"],
    "Worker": ["worker"],
    "Media": ["media"],
    "Footage": ["footage", "casting"],
    "Face": ["face"],
    "Speech": ["speech"],
    "Geometry": ["geometry"],
    "Canonical view": ["canonical"],
    "Model": ["model"],
    "Mouth": ["mouth"],
    "Whole head": ["whole_head"],
    "Stills": ["stills"],
    "Training": ["training"],
    "Evaluation": ["evaluation"],
}
_SHOWN = {module for modules in API.values() for module in modules}
API["Other modules"] = sorted({path.stem for path in (ROOT / "s2l_core").glob("[!_]*.py")} - _SHOWN)


def on_config(config: MkDocsConfig) -> None:
    """List the pages of the API reference in the navigation."""
    assert config.nav
    (section,) = (section for section in config.nav if "API reference" in section)
    section["API reference"] = [{title: api_page(title)} for title in API]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages and files that are not in docs/."""
    for source, name in ROOT_FILES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    for title, modules in API.items():
        text = "\n".join([f"# {title}\n", *(f"::: s2l_core.{module}\n" for module in modules)])
        files.append(File.generated(config, api_page(title), content=text))
    schema = json.dumps(job_schema(), indent=2)
    files.append(File.generated(config, "job.schema.json", content=schema))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what a page takes from the code, and turn links between files into links between pages."""
    if page.file.src_uri == "jobs.md":
        markdown = markdown.replace("<!-- the jobs -->", "\n".join(job_tables()))
    if page.file.src_uri == "troubleshooting.md":
        markdown = re.sub(r"^### (\w+)\n\n(.+?)\n$", with_hint, f"{markdown}\n", flags=re.MULTILINE | re.DOTALL)
    markdown = re.sub(r"^\[(examples/\w+\.py)\]\(.+\)$", shown_example, markdown, flags=re.MULTILINE)
    for source, name in ROOT_FILES.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}(?=[)#])", f"]({name}", markdown)
    return markdown.replace("](docs/", "](")


def job_tables() -> Iterator[str]:
    """A section with a table of fields for each job, and for each kind of object inside jobs."""
    for name, kind in job_schema()["$defs"].items():
        yield f"## {name}\n\n{kind['description']}\n"
        yield "| field | type | default | |\n|---|---|---|---|"
        for field, value in kind["properties"].items():
            if field not in ("schema", "verb"):
                default = f"`{json.dumps(value['default'])}`" if "default" in value else "required"
                yield f"| `{field}` | {describe_type(value)} | {default} | {value.get('description', '')} |"
        yield ""


def describe_type(value: dict[str, Any]) -> str:
    """What a value of the schema may be, in a few words."""
    if choices := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(map(describe_type, choices))
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    return f"list of {describe_type(value['items'])}" if value["type"] == "array" else str(value["type"])


def shown_example(link: re.Match[str]) -> str:
    """The text of a script that a line of its own links to."""
    return f"```python\n{(ROOT / link[1]).read_text(encoding='utf-8')}```"


def with_hint(section: re.Match[str]) -> str:
    """The section of an error code with the hint that users see."""
    return f"### {section[1]}\n\n{section[2]}\n\n**What to do**: {HINTS[section[1]]}\n"


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Warn, which ends a strict build, of a page that makes a browser fetch something from another host."""
    for fetched in re.findall(r"<(?:script|link|img|iframe)[^>]* (?:src|href)=[\"']?(?:https?:)?//[^>]*>", output):
        _logger.warning(f"{page.file.src_uri} fetches from another host: {fetched}")
    return output


def api_page(title: str) -> str:
    return f"api/{title.lower().replace(' ', '_')}.md"
