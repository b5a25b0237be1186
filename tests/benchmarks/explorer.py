"""How fast the explorer answers: `python tests/benchmarks/explorer.py`. Needs Chromium.

A click is measured in the page: until the numbers, the map and the page's new layout are there (a
frame at 60 Hz lasts 16.7 ms). A photograph of one's own is measured from outside: from the opening
of the page until its heat map is there, and once more for the next photograph.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from methods import markdown
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
from browsing import PROGRAM, browsing, opened
from scripts import load_script

from camutils import data_path, load_image

explorer = load_script("notebooks/pages/explorer.py")

CLICKS = """(rounds) => [...Array(rounds).keys()].map((round) => {
    const cell = document.querySelector(`button[data-cell="${(round * 17) % 49}"]`);
    const start = performance.now();
    cell.click();
    document.body.getBoundingClientRect();
    return performance.now() - start;
})"""


def clicks(browser: Browser, path: Path, rounds: int) -> list[float]:
    """Milliseconds of many clicks."""
    times = []
    for picture in explorer.PICTURES:
        with opened(browser, f"{path.as_uri()}#picture={Path(picture.file).stem}") as page:
            page.evaluate(CLICKS, 5)
            times += page.evaluate(CLICKS, rounds)
    return times


def choose(page: Page, file: Path) -> None:
    """Choose a photograph, and wait for its map."""
    page.set_input_files("#file", str(file))
    page.wait_for_function(
        "name => document.querySelector('#said').textContent.includes(name)", arg=file.name
    )


def first_and_next(browser: Browser, path: Path, file: Path) -> tuple[float, float]:
    """Seconds from opening the page to the map of a photograph, and to that of the next one."""
    start = time.perf_counter()
    with opened(browser, path.as_uri()) as page:
        choose(page, file)
        first = time.perf_counter() - start
        again = file.with_name(f"again-{file.name}")
        again.write_bytes(file.read_bytes())
        start = time.perf_counter()
        choose(page, again)
        return first, time.perf_counter() - start


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few clicks")
    rounds = 10 if parser.parse_args(arguments).quick else 200
    if PROGRAM is None:
        print("The explorer is not measured: no Chromium.")
        return
    bear = load_image(data_path("scenes", "polar_bear.webp"))
    rows = []
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        path = Path(folder, "explorer.html")
        explorer.write_explorer(path)
        times = clicks(browser, path, rounds)
        for size in (bear.size, (4032, 3024)):
            file = Path(folder, f"{size[0]}.jpg")
            bear.resize(size).save(file, quality=90)
            seconds = first_and_next(browser, path, file)
            rows.append([f"{size[0]}×{size[1]}", *(f"{one:.1f} s" for one in seconds)])
    centiles = statistics.quantiles(times, n=100)
    row = [f"{len(times)}", *(f"{t:.1f} ms" for t in (centiles[49], centiles[98], max(times)))]
    print("**The explorer** (`explorer.py`): answer to a click, measured in the page:\n")
    print(markdown(["clicks", "median", "99 of 100 within", "longest"], [row]))
    print("\nFrom opening the page to the heat map of one's own photograph, and of the next one:\n")
    print(markdown(["photograph", "first", "next"], rows))


if __name__ == "__main__":
    main()
