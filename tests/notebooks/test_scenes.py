"""The composite scenes: the same every time, masks exact, animals where the recipe says."""

import json

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from camutils import data_path, load_image
from course.credits import FREE, read_attribution
from course.distraction import FILLS, background, judge, read_search, silhouettes
from course.photographs import photograph_mask, photographs
from course.scenes import (
    ANIMALS,
    BACKGROUNDS,
    LABELS,
    compose_scene,
    scene_from_recipe,
    seeded_recipes,
    side_by_side,
)

search = load_script("data/scenes/search.py")
PLAIN = Image.new("RGB", (300, 300), (0, 0, 255))
RECIPES = json.loads(data_path("scenes", "recipes.json").read_text("utf-8"))["scenes"]


@pytest.fixture(scope="module")
def recipes():
    return seeded_recipes(0)


@pytest.fixture(scope="module")
def some_scenes(recipes):
    return [scene_from_recipe(recipe) for recipe in recipes[::6]]


def test_every_animal_stands_on_every_background_once(recipes):
    pairs = {(r["items"][0]["cutout"], r["background"]) for r in recipes}
    assert len(recipes) == len(pairs) == len(ANIMALS) * len(BACKGROUNDS) == 75


def test_the_same_seed_gives_the_same_recipes_and_another_seed_others(recipes):
    assert seeded_recipes(0) == recipes
    assert seeded_recipes(1) != recipes


def test_the_first_recipe_is_the_one_of_every_machine(recipes):
    first = recipes[0]
    assert first["background"] == "dune.jpg"
    assert first["items"][0]["cutout"] == "bear"
    assert first["items"][0]["at"] == [107, 10]
    assert first["items"][0]["scale"] == pytest.approx(0.86607)


def test_no_animal_is_cut_off_and_none_stands_in_the_middle(recipes):
    for recipe in recipes:
        (item,) = recipe["items"]
        with Image.open(data_path("cutouts", f"{item['cutout']}.png")) as picture:
            sides = [round(side * item["scale"]) for side in picture.size]
        corner = [at + side for at, side in zip(item["at"], sides, strict=True)]
        assert min(item["at"]) >= 0
        assert max(corner) <= 448
        middle = [at + side / 2 - 224 for at, side in zip(item["at"], sides, strict=True)]
        assert np.hypot(*middle) >= 0.18 * 448 - 1
        assert 0.5 * 448 - 1 <= max(sides) <= 0.7 * 448 + 1


def test_outside_the_mask_is_the_background_but_for_the_soft_edge(recipes, some_scenes):
    for recipe, (scene, (mask,)) in zip(recipes[::6], some_scenes, strict=True):
        empty, none = scene_from_recipe({**recipe, "items": []})
        changed = (np.asarray(scene) != np.asarray(empty)).any(axis=2)
        assert none == []
        assert scene.size == (448, 448)
        assert 0.02 < mask.mean() < 0.3
        assert changed[mask].mean() > 0.95  # An animal may match the ground in a few pixels.
        assert (changed & ~mask).sum() < 0.35 * mask.sum()


def test_the_mask_is_where_the_cutout_makes_up_half_of_the_colour():
    item = {"cutout": "bear", "scale": 0.5, "at": (40, 60)}
    _, (mask,) = compose_scene(PLAIN, [item])
    on_black, _ = compose_scene(Image.new("RGB", PLAIN.size, "black"), [item])
    on_white, _ = compose_scene(Image.new("RGB", PLAIN.size, "white"), [item])
    difference = np.asarray(on_white).astype(int) - np.asarray(on_black)
    share = 1 - difference.mean(axis=2) / 255  # What is left of the background, turned round.
    assert (share[mask] > 0.49).all()
    assert (share[~mask] < 0.51).all()


def test_a_mirrored_item_has_the_mirrored_mask():
    item = {"cutout": "tiger", "scale": 0.5, "at": (10, 60)}
    _, (mask,) = compose_scene(PLAIN, [item])
    _, (mirrored,) = compose_scene(PLAIN, [item | {"flip": True}])
    width = round(453 * 0.5)
    assert np.array_equal(mask[:, 10 : 10 + width], mirrored[:, 10 : 10 + width][:, ::-1])
    assert not np.array_equal(mask, mirrored)


def test_the_nearer_item_hides_the_farther_one():
    far = {"cutout": "bear", "scale": 0.5, "at": (40, 60)}
    near = {"cutout": "lion", "scale": 0.5, "at": (80, 90)}
    _, (alone,) = compose_scene(PLAIN, [far])
    _, (behind, front) = compose_scene(PLAIN, [far, near])
    assert (behind & front).sum() == 0
    assert np.array_equal(behind, alone & ~front)
    assert (alone & front).any()


def test_beyond_the_edge_nothing_is_counted_and_the_background_is_not_changed():
    before = np.asarray(PLAIN).copy()
    _, (mask,) = compose_scene(PLAIN, [{"cutout": "bear", "scale": 1, "at": (-200, 250)}])
    assert mask.shape == (300, 300)
    assert 0 < mask.sum() < 300 * 50
    assert np.array_equal(before, np.asarray(PLAIN))


def without_shade(items):
    return [{**item, "shade": 0} for item in items]


def test_a_shadow_lies_on_the_ground_at_the_feet():
    grey = Image.new("RGB", (300, 300), (200, 200, 200))
    item = {"cutout": "lion", "scale": 0.5, "at": (60, 40), "shade": 0.35}
    scene, (mask,) = compose_scene(grey, [item])
    plain, (same,) = compose_scene(grey, without_shade([item]))
    assert np.array_equal(mask, same)
    darker = np.asarray(plain).astype(int)[..., 0] - np.asarray(scene)[..., 0]
    assert 0.8 * 0.35 * 200 < darker.max() <= 0.35 * 200
    assert (darker > 10).sum() > 0.1 * mask.sum()
    top, bottom = np.nonzero(mask.any(1))[0][[0, -1]]
    rows = np.nonzero(darker > 10)[0]
    assert rows.min() > (top + 2 * bottom) / 3
    assert rows.max() > bottom


@pytest.mark.parametrize(
    ("name", "mask_name"), [("elephants", "elephant"), ("dragon_and_macaw", "scarlet_macaw")]
)
def test_the_committed_scenes_are_what_their_recipes_give(name, mask_name):
    recipe = RECIPES[name]
    scene, masks = scene_from_recipe(recipe)
    stored = np.asarray(load_image(data_path("scenes", f"{name}.jpg"))).astype(int)
    mask = np.asarray(load_image(data_path("scenes", f"{name}_{mask_name}_mask.png")))[..., 0] > 127
    assert np.abs(stored - np.asarray(scene)).mean() < 4  # JPEG.
    assert np.array_equal(np.any(masks, axis=0), mask)


def test_the_macaw_has_its_shadow():
    recipe = RECIPES["dragon_and_macaw"]
    plain, _ = scene_from_recipe({**recipe, "items": without_shade(recipe["items"])})
    shadow, plain = (
        np.asarray(picture).astype(int) for picture in (scene_from_recipe(recipe)[0], plain)
    )
    there = (plain - shadow).max(axis=2) > 20
    assert there.sum() > 1000
    stored = np.asarray(load_image(data_path("scenes", "dragon_and_macaw.jpg"))).astype(int)
    assert np.abs(stored - shadow)[there].mean() < 5
    assert (plain - stored)[there].mean() > 20


# Animals cut out of photographs, and the search for a distraction


def named(stem):
    return next(photo for photo in photographs() if photo.path.stem == stem)


def test_an_animal_of_a_photograph_lies_inside_its_mask():
    item = {"cutout": "unseen/scarlet_macaw.webp", "scale": 1, "at": (0, 0)}
    _, (seen,) = compose_scene(Image.new("RGB", (600, 600)), [item])
    left, upper, right, lower = named("scarlet_macaw").boxes[0]
    inside = photograph_mask("unseen/scarlet_macaw.webp")[upper:lower, left:right]
    there = seen[: lower - upper, : right - left]
    assert not (there & ~inside).any()
    assert there.sum() > 0.95 * inside.sum()


def test_a_distraction_is_free_to_use_and_whole():
    licences = {file: row["licence"] for file, row in read_attribution().items()}
    assert licences["scenes/dragon_and_macaw.jpg"] in FREE
    for photo in search.second_animals():
        assert licences[photo.path.relative_to(data_path()).as_posix()] in FREE
        mask = photograph_mask(photo.path)
        left, upper, right, lower = photo.boxes[0]
        assert min(left, upper) > 0
        assert right < mask.shape[1]
        assert lower < mask.shape[0]


def test_the_stored_search_is_what_the_search_finds(classifier):
    lite = classifier("efficientnet_lite0")
    stored = {(pair["first"], pair["second"]): pair for pair in read_search()}
    firsts = {photo.path.stem for photo in search.hosts(lite)}
    assert {first for first, _ in stored} <= firsts
    for pair in (("dragon", "scarlet_macaw"), ("jaguar", "koala")):
        assert search.search_pair(lite, *map(named, pair)) == stored[pair]


def test_the_macaw_distracts_and_a_crop_mends(classifier):
    lite, dragon = classifier("efficientnet_lite0"), named("dragon")
    items = RECIPES["dragon_and_macaw"]["items"]
    (outcome,) = judge(lite, background(dragon), items, dragon)
    assert outcome.is_wrong
    assert outcome.is_mended
    assert outcome.wrong_silhouettes == ()
    assert lite.categories[outcome.answer] == "macaw"
    assert lite.predict(background(dragon), k=1)[0].index in dragon.accepted


def test_a_silhouette_has_the_outline_and_nothing_else_of_the_animal():
    item = {"cutout": "unseen/scarlet_macaw.webp", "scale": 0.5, "at": (40, 60)}
    scene, (seen,) = compose_scene(PLAIN, [item])
    before = np.asarray(scene)
    filled = {name: np.asarray(one) for name, one in silhouettes(scene, seen).items()}
    assert tuple(filled) == FILLS
    for pixels in filled.values():
        assert np.array_equal(pixels[~seen], before[~seen])
    assert len(np.unique(filled["grey"][seen], axis=0)) == 1
    assert np.abs(filled["mean colour"][seen] - before[seen].mean(0)).max() <= 0.5
    shuffled, own = filled["shuffled"][seen], before[seen]
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(own, axis=0))
    assert (
        np.abs(np.diff(shuffled.astype(int), axis=0)).mean()
        > 3 * np.abs(np.diff(own.astype(int), axis=0)).mean()
    )


def test_a_silhouette_is_enough_in_some_wrong_scenes_and_not_in_most():
    search = read_search()
    wrong = sum(pair["wrong"] for pair in search)
    for fill in FILLS:
        assert 0.1 < sum(pair["silhouettes"][fill] for pair in search) / wrong < 0.4


def test_two_cutouts_stand_side_by_side_each_in_the_middle_of_its_half():
    scene, masks = side_by_side("bear", "koala", longest=150)
    assert scene.size == (448, 448)
    for mask, middle in zip(masks, (112, 336), strict=True):
        rows, columns = np.nonzero(mask)
        sides = (np.ptp(rows) + 1, np.ptp(columns) + 1)
        assert 140 <= max(sides) <= 150
        assert (columns.min() + columns.max()) / 2 == pytest.approx(middle, abs=8)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(224, abs=8)
    assert not (masks[0] & masks[1]).any()


def test_the_labels_of_cutouts_are_classes_of_the_network(classifier):
    assert set(LABELS) <= set(ANIMALS)
    assert set(LABELS.values()) <= set(classifier("efficientnet_lite0").categories)
