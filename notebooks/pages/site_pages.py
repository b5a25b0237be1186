"""What the site changes in its pages, beyond what their sources say.

`conf.py` connects these functions to Sphinx's events: `source-read` has a page's text,
`doctree-read` its nodes, `html-page-context` what its template gets.
"""

import html
import re

from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from thumbnails import notebook_of, thumbnail

OPEN = "Not yet: "  # What a check says of an exercise before anybody has answered it.
FEW = 4  # sections: so many are seen without a list of them
DESCRIPTION = 200  # characters, about what a search engine shows
logger = getLogger(__name__)


def leave_out_open_exercises(notebook: NotebookNode) -> None:
    """Drop what checks say of exercises that nobody has answered: on the site nobody can."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                lines = output.text.splitlines(keepends=True)
                output.text = "".join(line for line in lines if not line.startswith(OPEN))
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]


def put_in_thumbnails(app: Sphinx, page: str, content: list[str]) -> None:
    """Put pictures in the places of their names, as `:img-top: 02-elephants/3`, in the index."""

    def option(match: re.Match[str]) -> str:
        if path := notebook_of(match[1]):
            app.env.note_dependency(str(path))  # The next build looks again if it has changed.
        try:
            return f":img-top: {thumbnail(match[1])}\n"
        except ValueError as error:
            logger.warning("%s No thumbnail for its card.", error)
            return ""

    if page == app.config.root_doc:
        content[0] = re.sub(r":img-top: (\w[^.\n]+)\n", option, content[0])


def join_captions(app: Sphinx, doctree: nodes.document) -> None:
    """Make a figure of each picture and the caption that `show_figure` displays below it."""
    for strong in list(doctree.findall(nodes.strong)):
        name = re.fullmatch(r"Figure (\S+)\.", strong.astext())
        if name and strong.parent.parent.get("mime_type") == "text/markdown":
            _join_caption(name[1], strong.parent)


def _join_caption(name: str, text: nodes.paragraph) -> None:
    """Of what is folded below a caption, the credits stay; the picture has the words as `alt`."""
    below = text.parent.parent
    picture = below.previous_sibling()
    figure = nodes.figure(ids=[f"figure-{name}"])
    picture.replace_self(figure)
    figure += picture
    figure += nodes.caption("", "", *text.children)
    if credits_of_all := list(text.parent.findall(nodes.bullet_list)):
        figure += nodes.legend("", *_folded("Credits", *credits_of_all))
    below.parent.remove(below)


def list_sections(app: Sphinx, doctree: nodes.document) -> None:
    """List a page's sections after its first paragraph, for windows that hide the theme's list."""
    page = doctree.next_node(nodes.section)
    sections = [child for child in page or () if isinstance(child, nodes.section)]
    if len(sections) <= FEW or app.env.docname == app.config.root_doc:
        return
    items = nodes.bullet_list()
    for section in sections:
        title = [child.deepcopy() for child in section[0].children]
        link = nodes.reference("", "", *title, refid=section["ids"][0], internal=True)
        items += nodes.list_item("", nodes.paragraph("", "", link))
    place = (page.first_child_matching_class(nodes.paragraph) or 0) + 1
    page.insert(place, nodes.container("", *_folded("Sections", items), classes=["sections"]))


def _folded(summary: str, *content: nodes.Node) -> list[nodes.Node]:
    """What HTML folds; docutils has no node for it."""
    opening = f"<details><summary>{summary}</summary>"
    ends = [nodes.raw("", text, format="html") for text in (opening, "</details>")]
    return [ends[0], *content, ends[1]]


def link_explorer(app: Sphinx, doctree: nodes.document) -> None:
    """Make a link of `explorer.html` where a page names it in code letters."""
    address = app.builder.get_relative_uri(app.env.docname, "explorer")
    for literal in list(doctree.findall(nodes.literal)):
        if literal.astext() == "explorer.html" and isinstance(literal.parent, nodes.paragraph):
            link = nodes.reference(refuri=address)
            literal.replace_self(link)
            link += literal


def describe_page(
    app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    """Give a page its first words as a description, for search engines and previews."""
    if doctree is None:
        return
    paragraphs = doctree.findall(nodes.paragraph)
    texts = [_words(one) for one in paragraphs if isinstance(one.parent, nodes.section)]
    text = next(filter(None, texts), f"{context['title']}: {app.config.project}")
    if len(text) > DESCRIPTION:
        text = text[:DESCRIPTION].rpartition(" ")[0] + " …"
    context["metatags"] += f'<meta name="description" content="{html.escape(text)}">\n'


def _words(paragraph: nodes.paragraph) -> str:
    """Its text without tags of HTML and alternative texts."""
    texts = paragraph.findall(nodes.Text)
    return " ".join("".join(t for t in texts if not isinstance(t.parent, nodes.raw)).split())
