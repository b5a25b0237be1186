"""Pictures of every kind come out upright and RGB, or are refused by name; folders; crop boxes."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from camutils import ImageError, crop_box, image_folder, load_image

pytestmark = pytest.mark.filterwarnings("error")
RED, GREEN, GREY = (255, 0, 0), (0, 128, 0), (128, 128, 128)


def colour_of(image):
    """The one colour of a picture that has only one."""
    assert image.mode == "RGB"
    pixels = np.asarray(image).reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return tuple(pixels[0].tolist())


def translucent(mode, value):
    return Image.new(mode, (4, 3), value)


def palette(transparency):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, *RED])
    image.info["transparency"] = transparency
    return image


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("RGB", (4, 3), RED), "a.png", RED),
        (Image.new("L", (4, 3), 128), "a.png", GREY),
        (Image.new("1", (4, 3), 1), "a.png", (255, 255, 255)),
        (Image.new("P", (4, 3), 0), "a.gif", (0, 0, 0)),
        (palette(1), "a.png", (255, 255, 255)),
        (palette(0), "a.png", RED),
        (palette(b"\xff\x80"), "a.png", (255, 127, 127)),
        (Image.new("RGBA", (4, 3), (255, 0, 0, 0)), "a.png", (255, 255, 255)),
        (Image.new("RGBA", (4, 3), (0, 0, 0, 127)), "a.png", GREY),
        (Image.new("RGBA", (4, 3), (*RED, 255)), "a.webp", RED),
        (Image.new("LA", (4, 3), (0, 127)), "a.png", GREY),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "a.tif", RED),
        (Image.new("YCbCr", (4, 3), (128, 128, 128)), "a.tif", GREY),
        (Image.fromarray(np.full((3, 4), 32896, np.uint16)), "a.png", GREY),
        (Image.fromarray(np.full((3, 4), 32896, np.uint16)), "a.tif", GREY),
        (Image.fromarray(np.full((3, 4), 32896, np.int32)), "a.tif", GREY),
        (Image.fromarray(np.full((3, 4), 0.5, np.float32)), "a.tif", GREY),
        (Image.fromarray(np.full((3, 4), 128, np.float32)), "a.tif", GREY),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode_becomes_rgb(tmp_path, image, name, expected):
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    loaded = load_image(tmp_path / name)
    assert loaded.size == (4, 3)
    assert colour_of(loaded) == expected


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    np.testing.assert_allclose(colour_of(load_image(tmp_path / "a.jpg")), RED, atol=4)


def test_sixteen_bits_keep_their_shades(tmp_path):
    shades = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(shades).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        np.asarray(load_image(tmp_path / "a.png"))[..., 0], np.arange(256).reshape(16, 16)
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = Image.fromarray((np.indices((32, 48)).sum(0) * 3).astype(np.uint8))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # The transposition that undoes it.
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    loaded = load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(loaded)[..., 0], np.asarray(upright))
    assert loaded.getexif().get(0x0112, 1) == 1


def test_of_an_animation_the_first_picture_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert colour_of(load_image(tmp_path / "a.gif")) == RED


def test_paths_and_strings_are_taken_and_the_file_is_let_go(tmp_path):
    path = tmp_path / "a picture, ünïcode.png"
    Image.new("RGB", (4, 3), RED).save(path)
    assert colour_of(load_image(path)) == colour_of(load_image(str(path))) == RED
    image = load_image(path)
    path.unlink()
    assert colour_of(image) == RED


def test_damaged_exif_data_neither_warns_nor_refuses_the_picture(tmp_path):
    Image.new("RGB", (16, 16), RED).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0x")
    assert load_image(tmp_path / "a.jpg").size == (16, 16)


def noise(ending):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, ending)
    return buffer.getvalue()


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_picture_is_refused(tmp_path, ending, share):
    whole = noise(ending)
    (tmp_path / "a").write_bytes(whole)
    assert load_image(tmp_path / "a").size == (64, 64)
    (tmp_path / "a").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ImageError, match=r"^path: '.*a' could not be read: .+; expected a whole"):
        load_image(tmp_path / "a")


def bomb(width, height):
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30000, 30000), (12000, 8000), (89_000_001, 1)])
def test_a_picture_made_to_explode_is_refused_before_it_is_decoded(tmp_path, monkeypatch, size):
    def never(self):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    with pytest.raises(ImageError, match=r"bomb.png' could not .*pixels.* at most 89 megapixels"):
        load_image(tmp_path / "bomb.png")


def test_89_megapixels_are_not_refused_for_their_size(tmp_path):
    (tmp_path / "a.png").write_bytes(bomb(89_000_000, 1))
    with pytest.raises(ImageError, match=r"truncated|broken|decompress"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda p: p.write_text("no picture"), "cannot identify"),
        (lambda p: p.write_bytes(b""), "cannot identify"),
        (lambda p: p.mkdir(), "it is a folder"),
        (lambda p: None, "there is no such file;"),
    ],
    ids=["text", "empty", "folder", "missing"],
)
@pytest.mark.parametrize("kind", [str, lambda p: p], ids=["str", "Path"])
def test_what_is_no_picture_is_named(tmp_path, make, why, kind):
    path = tmp_path / "thing.jpg"
    make(path)
    with pytest.raises(ImageError, match=rf"^path: '.*thing.jpg' could not be read: .*{why}"):
        load_image(kind(path))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.HEIC", "HEIC pictures are not supported"),
        ("C:\temp\new.jpg", 'was r"..." meant?'),
        ("missing.jpg", "there is no such file in the current folder "),
    ],
)
def test_typical_mistakes_are_told_from_others(tmp_path, monkeypatch, name, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(ImageError, match=why):
        load_image(name)


def test_an_image_error_is_a_value_error():
    assert issubclass(ImageError, ValueError)


def class_folders(root, **files):
    for name, count in files.items():
        (root / name).mkdir()
        for i in range(count):
            Image.new("RGB", (8, 8), RED).save(root / name / f"{i}.png")
    return root


def test_a_folder_of_class_folders_is_a_data_set(tmp_path):
    class_folders(tmp_path, cat=2, dog=1)
    dataset = image_folder(str(tmp_path), lambda image: image.size)
    assert dataset.classes == ["cat", "dog"]
    assert [dataset[i] for i in range(3)] == [((8, 8), 0), ((8, 8), 0), ((8, 8), 1)]
    assert dataset.skipped == []


def test_hidden_files_and_folders_do_not_count(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    (tmp_path / "cat" / ".DS_Store").write_text("x")
    for hidden in (tmp_path, tmp_path / "cat"):
        (hidden / ".ipynb_checkpoints").mkdir()
        Image.new("RGB", (8, 8)).save(hidden / ".ipynb_checkpoints" / "0-checkpoint.png")
    dataset = image_folder(tmp_path)
    assert dataset.classes == ["cat", "dog"]
    assert len(dataset) == 2
    assert dataset.skipped == []


def test_a_folder_may_lie_in_a_hidden_one(tmp_path):
    (tmp_path / ".cache").mkdir()
    assert len(image_folder(class_folders(tmp_path / ".cache", cat=1, dog=1))) == 2


def test_a_file_that_is_no_picture_is_named_or_skipped(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    (tmp_path / "cat" / "notes.txt").write_text("x")
    with pytest.raises(ImageError, match=r"^root: .*notes.txt is not a picture.*skip_broken=True"):
        image_folder(tmp_path)
    dataset = image_folder(tmp_path, skip_broken=True)
    assert len(dataset) == 2
    assert dataset.skipped == [tmp_path / "cat" / "notes.txt"]


def test_a_truncated_picture_is_named_when_reached_or_skipped(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    (tmp_path / "cat" / "cut.png").write_bytes(noise("PNG")[:2000])
    dataset = image_folder(tmp_path)
    with pytest.raises(ImageError, match=r"^path: .*cut.png"):
        list(dataset)
    dataset = image_folder(tmp_path, skip_broken=True)
    assert len(list(dataset)) == 2
    assert dataset.skipped == [tmp_path / "cat" / "cut.png"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"0 class folders \[\]"),
        ({"cat": 1}, r"1 class folders \['cat'\] in .*, expected at least"),
        ({"cat": 1, "dog": 0}, "a class folder in .* holds no picture"),
    ],
)
def test_a_folder_without_two_classes_of_pictures_is_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=rf"^root: .*{message}"):
        image_folder(class_folders(tmp_path, **files))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^root: .*nowhere, which is no folder"):
        image_folder(tmp_path / "nowhere")


def test_the_crop_box_holds_the_upper_part_of_the_map_and_a_margin():
    heatmap = np.zeros((7, 7))
    heatmap[2, 3:5] = 1
    heatmap[6, 6] = 0.4
    assert crop_box(heatmap, (700, 70), margin=0) == (300, 20, 500, 30)
    assert crop_box(heatmap, (700, 70), margin=0.5) == (200, 15, 600, 35)
    assert crop_box(heatmap, (700, 70), threshold=0.4, margin=0) == (300, 20, 700, 70)
    assert crop_box(torch.from_numpy(heatmap), (700, 70), margin=9) == (0, 0, 700, 70)


def test_a_flat_map_crops_nothing():
    assert crop_box(np.zeros((7, 7)), (40, 30)) == (0, 0, 40, 30)
    assert crop_box(np.ones((1, 1)), (40, 30)) == (0, 0, 40, 30)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_crop_box_takes_maps_with_gradients_and_of_every_precision(dtype):
    heatmap = torch.eye(4, dtype=dtype, requires_grad=True)[:2]
    assert crop_box(heatmap, (40, 40), margin=0) == (0, 0, 20, 40)


def test_loading_does_not_touch_the_callers_warning_filters(tmp_path):
    Image.new("RGB", (4, 3), RED).save(tmp_path / "a.png")
    before = list(warnings.filters)
    load_image(tmp_path / "a.png")
    assert warnings.filters == before


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "RGB"])
def test_a_rotated_tiff_is_upright(tmp_path, mode):
    grey = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
    picture, exif = grey.convert(mode), Image.Exif()
    exif[0x112] = 6
    picture.save(tmp_path / "a.tiff", exif=exif)
    expected = np.asarray(picture.transpose(Image.Transpose.ROTATE_270).convert("RGB"))
    assert np.array_equal(np.asarray(load_image(tmp_path / "a.tiff")), expected)
