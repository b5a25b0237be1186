"""The teachers' page: its three questions to click through have the answers that it gives."""

import re
from pathlib import Path

import pytest
import torch
from scripts import load_script

from camutils import data_path, load_image
from course.evidence import cell_evidence

ROOT = Path(__file__).parents[2]
PICTURES = load_script("notebooks/pages/explorer.py").PICTURES
TEXT = (ROOT / "notebooks/teaching.md").read_text("utf-8")
QUESTIONS = dict(
    re.findall(r"^(\d)\. (.*)$", TEXT.split("answer by clicking")[1], re.MULTILINE)[:3]
)
BEAR, AFRICAN, TUSKER = 296, 386, 101


@pytest.fixture
def clicked(classifier):
    """`clicked(key)`: each cell's share of 1000 logits, (1000, 49), and the biases."""
    lite = classifier("efficientnet_lite0")

    def clicked(key):
        (file,) = [picture.file for picture in PICTURES if f"/{key}." in picture.file]
        x = lite.preprocess(load_image(data_path(*file.split("/"))))
        return cell_evidence(lite, x).flatten(1) / 49, lite.model.classifier[-1].bias.detach()

    return clicked


def says(number, *facts):
    return all(fact in QUESTIONS[str(number)] for fact in facts)


def logits(evidence, bias, kept):
    mask = torch.zeros(49)
    mask[kept] = 1
    return (evidence * mask).sum(1) + bias


def test_how_few_cells_keep_the_polar_bear(clicked):
    evidence, bias = clicked("polar_bear")
    order = evidence[BEAR].argsort(descending=True)
    three = logits(evidence, bias, order[:3])
    assert three.argmax() == BEAR
    before, after = (logits(evidence, bias, kept).softmax(0)[BEAR] for kept in (order, order[:3]))
    assert says(1, f"{after:.2f}", f"{before:.2f}")


def test_when_it_is_less_sure_than_a_coin_toss(clicked):
    evidence, bias = clicked("polar_bear")
    order = evidence[BEAR].argsort(descending=True)
    left = [logits(evidence, bias, order[n:]) for n in range(7)]
    assert all(one.argmax() == BEAR for one in left)
    five, six = (one.softmax(0)[BEAR].item() for one in left[5:])
    assert five > 0.5 > six
    assert says(2, f"{five:.2f}", f"{six:.2f}")


def test_why_an_african_elephant_and_not_a_tusker(clicked):
    evidence, bias = clicked("elephants")
    difference = evidence[AFRICAN] - evidence[TUSKER]
    against = (difference < 0).nonzero().flatten()
    assert len(against) == 10
    largest = difference.argsort()[:2]
    assert difference[largest].sum() < 0.5 * difference[against].sum()
    assert sorted(divmod(cell + 7 * 1 + 1, 7) for cell in largest.tolist()) == [(4, 1), (4, 2)]
    assert says(3, "ten", "row 4", "1 and 2")
    assert logits(evidence, bias, against).argmax() == TUSKER
    between = logits(evidence, bias, range(49))[[AFRICAN, TUSKER]]
    apart = (between[0] - between[1]).item()
    assert says(3, f"{apart:.2f}", f"{difference.abs().max():.2f}")
    assert difference.abs().max() < apart
