"""Builds the site twice, run on the embedded and on the real networks: `python .ci/site.py`.

`build/site/embedded` and `build/site/pretrained` get a page each of all notebooks, executed;
`build/site/index.html` leads to both. The real networks are fetched if they are not here, pictures
are not: both show the course's own. With anything in `data/originals` it refuses to build, because
the notebooks would show it, and photographs of the sources may not be published. Another folder of
notebooks and another place may be named: `python .ci/site.py NOTEBOOKS PLACE`.
"""

import os
import subprocess
import sys
from pathlib import Path

KINDS = {
    "embedded": "executed with the small networks that come with the course, as committed",
    "pretrained": "executed with torchvision's VGG19 and DenseNet201, on the course's own pictures",
}
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Class activation maps</title>
<body style="font: 1.1em/1.5 sans-serif; margin: 3em auto; max-width: 40em; padding: 0 1em">
<h1>Class activation maps, from the idea to the picture</h1>
<p>The same notebooks twice:</p>
<ul>
{links}
</ul>
</body>
</html>
"""


def main(source: str = "notebooks", place: str = "build/site") -> None:
    """Build both; fail if a notebook fails on either kind of network."""
    originals = Path(source).resolve().parent / "data" / "originals"
    if originals.is_dir() and any(originals.iterdir()):
        raise SystemExit(f"{originals} holds pictures that may not be published: move them away")
    links = []
    for kind, words in KINDS.items():
        command = [sys.executable, "-m", "sphinx", source, str(Path(place, kind))]
        subprocess.run(command, check=True, env=os.environ | {"CAMUTILS_WEIGHTS": kind})
        links.append(f'<li><a href="{kind}/index.html">{words}</a></li>')
    Path(place, "index.html").write_text(PAGE.format(links="\n".join(links)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
