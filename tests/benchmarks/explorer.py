"""How long the explorer takes to answer a click: `python tests/benchmarks/explorer.py`.

Measured in the page: from the click until the numbers, the map and the page's new layout are there
(a frame at 60 Hz lasts 16.7 ms). Needs Chromium.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from methods import markdown

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
from browsing import PROGRAM, browsing, opened
from scripts import load_script

explorer = load_script("notebooks/pages/explorer.py")

CLICKS = """(rounds) => [...Array(rounds).keys()].map((round) => {
    const cell = document.querySelector(`button[data-cell="${(round * 17) % 49}"]`);
    const start = performance.now();
    cell.click();
    document.body.getBoundingClientRect();
    return performance.now() - start;
})"""


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few clicks")
    rounds = 10 if parser.parse_args(arguments).quick else 200
    if PROGRAM is None:
        print("The explorer is not measured: no Chromium.")
        return
    times = []
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        path = Path(folder, "explorer.html")
        explorer.write_explorer(path)
        for picture in explorer.PICTURES:
            with opened(browser, f"{path.as_uri()}#picture={Path(picture.file).stem}") as page:
                page.evaluate(CLICKS, 5)
                times += page.evaluate(CLICKS, rounds)
    centiles = statistics.quantiles(times, n=100)
    row = [f"{len(times)}", *(f"{t:.1f} ms" for t in (centiles[49], centiles[98], max(times)))]
    print("**The explorer** (`explorer.py`): answer to a click, measured in the page:\n")
    print(markdown(["clicks", "median", "99 of 100 within", "longest"], [row]))


if __name__ == "__main__":
    main()
