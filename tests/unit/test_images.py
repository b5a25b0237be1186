"""Pictures of every kind come out upright and RGB, or are refused by name; folders of them."""

import io
import os
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from camutils import ImageError, image_folder, load_image

pytestmark = pytest.mark.filterwarnings("error")
RED, GREEN, GREY, WHITE = (255, 0, 0), (0, 128, 0), (128, 128, 128), (255, 255, 255)


def colour_of(image):
    """The one colour of a picture that has only one."""
    assert image.mode == "RGB"
    pixels = np.asarray(image).reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return tuple(pixels[0].tolist())


def palette(transparency):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, *RED])
    image.info["transparency"] = transparency
    return image


def grey(value, dtype):
    return Image.fromarray(np.full((3, 4), value, dtype))


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("RGB", (4, 3), RED), "a.png", RED),
        (Image.new("L", (4, 3), 128), "a.png", GREY),
        (Image.new("1", (4, 3), 1), "a.png", WHITE),
        (Image.new("P", (4, 3), 0), "a.gif", (0, 0, 0)),
        (palette(1), "a.png", WHITE),
        (palette(0), "a.png", RED),
        (palette(b"\xff\x80"), "a.png", (255, 127, 127)),
        (Image.new("RGBA", (4, 3), (255, 0, 0, 0)), "a.png", WHITE),
        (Image.new("RGBA", (4, 3), (0, 0, 0, 127)), "a.png", GREY),
        (Image.new("RGBA", (4, 3), (*RED, 255)), "a.webp", RED),
        (Image.new("LA", (4, 3), (0, 127)), "a.png", GREY),
        (Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "a.tif", RED),
        (Image.new("YCbCr", (4, 3), (128, 128, 128)), "a.jpg", GREY),
        (grey(32896, np.uint16), "a.png", GREY),
        (grey(32896, np.uint16), "a.tif", GREY),
        (grey(32896, np.int32), "a.tif", GREY),
        (grey(0.5, np.float32), "a.tif", GREY),
        (grey(128, np.float32), "a.tif", GREY),
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
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "a.png"))[..., 0], expected)


def test_a_transparent_shade_of_sixteen_bits_becomes_white(tmp_path):
    shades = np.array([[1234, 1235, 32896]], np.uint16)  # 1234 and 1235 are one shade of 8 bits.
    Image.fromarray(shades).save(tmp_path / "a.png", transparency=1234)
    assert np.asarray(load_image(tmp_path / "a.png"))[0, :, 0].tolist() == [255, 5, 128]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-0.03, 0.5, 1.02], [0, 128, 255]),
        ([0, 1.02, 1.2], [0, 255, 255]),  # Lanczos at a corner.
        ([-3, 128, 258], [0, 128, 255]),
    ],
)
def test_floating_grey_may_overshoot_a_little(tmp_path, values, expected):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tif")
    assert np.asarray(load_image(tmp_path / "a.tif"))[0, :, 0].tolist() == expected


# Published conversions: these P3 values are sRGB's primaries, CSS Color Module Level 4.
P3 = {(234, 51, 35): (255, 0, 0), (117, 251, 76): (0, 255, 0), GREY: GREY}
P3_COLOURS = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def display_p3():
    """The profile of a telephone's pictures: sRGB's with other primaries and another name."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag in range(struct.unpack_from(">I", profile, 128)[0]):
        name, offset = struct.unpack_from(">4sI", profile, 132 + 12 * tag)
        if name in P3_COLOURS:
            fixed_point = [round(65536 * value) for value in P3_COLOURS[name]]
            struct.pack_into(">3i", profile, offset + 8, *fixed_point)
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "a P3".encode("utf-16-be"))


@pytest.mark.parametrize(("stored", "shown"), P3.items())
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_colour_profile_is_converted_to_srgb(tmp_path, mode, stored, shown):
    picture = Image.new("RGB", (4, 3), stored).convert(mode)
    picture.save(tmp_path / "a.png", icc_profile=display_p3())
    np.testing.assert_allclose(colour_of(load_image(tmp_path / "a.png")), shown, atol=3)


@pytest.mark.parametrize("profile", [b"no profile", display_p3()[:300]])
def test_a_broken_colour_profile_does_not_spoil_the_picture(tmp_path, profile):
    Image.new("RGB", (4, 3), RED).save(tmp_path / "a.png", icc_profile=profile)
    assert colour_of(load_image(tmp_path / "a.png")) == RED


@pytest.mark.parametrize(("ending", "mode"), [("png", "RGB"), ("tiff", "L"), ("tiff", "CMYK")])
def test_exif_rotation_is_applied_once(tmp_path, ending, mode):
    upright = Image.fromarray((np.indices((4, 6)).sum(0) * 30).astype(np.uint8)).convert(mode)
    undone = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    for orientation, back in undone.items():
        stored = upright if back is None else upright.transpose(back)
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"a.{ending}", exif=exif)
        loaded = load_image(tmp_path / f"a.{ending}")
        assert loaded.tobytes() == upright.convert("RGB").tobytes(), orientation
        assert loaded.getexif().get(0x0112, 1) == 1


def test_a_picture_is_turned_though_pillow_cannot_rewrite_its_exif_block(tmp_path):
    # Two entries: the orientation 6, and a program's name that is a float.
    entries = struct.pack("<H2HI2H2HIfI", 2, 0x112, 3, 1, 6, 0, 0x131, 11, 1, 0.5, 0)
    block = b"Exif\0\0II*\0\x08\0\0\0" + entries
    Image.new("RGB", (16, 8), RED).save(tmp_path / "a.jpg", exif=block)
    assert load_image(tmp_path / "a.jpg").size == (8, 16)


def test_a_damaged_exif_block_does_not_spoil_the_picture(tmp_path):
    Image.new("RGB", (16, 8), RED).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0x")
    with warnings.catch_warnings(action="ignore"):  # Pillow's own warning may pass.
        assert load_image(tmp_path / "a.jpg").size == (16, 8)


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert colour_of(load_image(tmp_path / "a.gif")) == RED


def test_paths_and_strings_are_taken_and_the_file_is_let_go(tmp_path):
    path = tmp_path / "a picture, ünïcode.png"
    Image.new("RGB", (4, 3), RED).save(path)
    assert colour_of(load_image(str(path))) == RED
    image = load_image(path)
    path.unlink()
    assert colour_of(image) == RED


def test_the_home_folder_is_known(tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (4, 3), RED).save(tmp_path / kind / "a.png")
    assert colour_of(load_image("~/cat/a.png")) == RED
    assert len(image_folder("~")) == 2


def noise(kind):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP"])
def test_a_truncated_picture_is_refused(tmp_path, kind):
    whole = noise(kind)
    (tmp_path / "a").write_bytes(whole)
    assert load_image(tmp_path / "a").size == (64, 64)
    for share in (0.02, 0.5, 0.95):
        (tmp_path / "a").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageError, match=r"^path: '.*a' could not be read: .+; expected a who"):
            load_image(tmp_path / "a")


def png(width, height, bits, body):
    """A grey PNG with a body of our own."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">2I5B", width, height, bits, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize("size", [(30000, 30000), (12000, 8000), (89_000_001, 1)])
def test_a_picture_made_to_explode_is_refused_before_it_is_decoded(tmp_path, monkeypatch, size):
    def never(self):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    (tmp_path / "bomb.png").write_bytes(png(*size, 8, zlib.compress(bytes(1000))))
    with pytest.raises(ImageError, match=r"bomb.png' could not .*pixels.* at most 89 megapixels"):
        load_image(tmp_path / "bomb.png")


def test_89_megapixels_are_not_refused_for_their_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png(89_000_000, 1, 8, zlib.compress(bytes(1000))))
    with pytest.raises(ImageError, match=r"truncated|broken|decompress"):
        load_image(tmp_path / "a.png")


def test_a_small_file_of_many_pixels_in_16_bits_does_not_fill_the_memory(tmp_path, megabytes):
    path, side = tmp_path / "a.png", 9400
    packer = zlib.compressobj(1)
    rows = [packer.compress(b"\0" + b"\x80\x80" * side) for _ in range(side)]
    path.write_bytes(png(side, side, 16, b"".join(rows) + packer.flush()))
    assert path.stat().st_size < 1_000_000
    assert megabytes(lambda: load_image(path)) < 700


def postscript(path):
    Image.new("RGB", (8, 8)).save(path, "EPS")


def endless(path):
    if not os.path.exists("/dev/zero"):
        pytest.skip("this system has no /dev/zero")
    path.symlink_to("/dev/zero")


def loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("no picture"), "cannot identify"),
        (lambda path: path.write_bytes(b""), "cannot identify"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: None, "No such file"),
        (postscript, "EPS is drawn by another program"),
        (endless, "not a regular file"),
        (loop, "symbolic links"),
        (grey(1000, np.float32).save, "grey values from 1000.0 to 1000.0, expected 0 to 255"),
        (grey(np.nan, np.float32).save, "grey values from nan"),
        (grey(-5, np.int32).save, "grey values from -5"),
    ],
    ids=["text", "empty", "folder", "missing", "EPS", "device", "loop", "1000", "NaN", "negative"],
)
def test_what_is_not_a_picture_is_named(tmp_path, monkeypatch, make, why):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)  # It must not be asked for.
    path = tmp_path / "thing.jpg"
    if make.__name__ == "save":
        path = path.with_suffix(".tif")
    make(path)
    with pytest.raises(ImageError, match=rf"^path: '.*thing....' could not be read: .*{why}"):
        load_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, in_threads):
    os.mkfifo(tmp_path / "pipe.jpg")

    def refused():
        with pytest.raises(ImageError, match="not a regular file"):
            load_image(tmp_path / "pipe.jpg")
        return True

    assert in_threads(1, refused) == [True]


def test_an_error_without_a_text_is_named(tmp_path, monkeypatch):
    def fail(self):
        raise MemoryError

    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(ImageError, match=r"a\.png' could not be read: MemoryError"):
        load_image(tmp_path / "a.png")


def test_a_name_that_no_system_has_is_refused():
    with pytest.raises(ImageError, match="null byte"):
        load_image("a\0b.png")
    with pytest.raises(TypeError):
        load_image(None)


def test_heic_without_its_package_names_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    with pytest.raises(ImageError, match=r"a.HEIC'.*pillow_heif.*expected .*JPEG.*pillow-heif"):
        load_image(tmp_path / "a.HEIC")


def test_heic_is_read_upright_and_in_srgb_without_registering_it(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (64, 32), next(iter(P3)))
    heic = pillow_heif.from_pillow(picture)
    heic.info["icc_profile"], heic.info["icc_profile_type"] = display_p3(), "prof"
    # Of an EXIF block at `save` pillow-heif makes HEIC's own rotation.
    heic.save(tmp_path / "a.jpg", quality=95, exif=exif.tobytes())
    loaded = load_image(tmp_path / "a.jpg")
    assert (loaded.mode, loaded.size) == ("RGB", (32, 64))
    np.testing.assert_allclose(loaded.getpixel((5, 5)), RED, atol=6)
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(tmp_path / "a.jpg")


def test_threads_leave_the_warning_filters_alone_even_for_a_moment(
    tmp_path, monkeypatch, in_threads
):
    Image.new("RGB", (64, 64), RED).save(tmp_path / "a.png")
    before, seen, pillows_open = list(warnings.filters), [], Image.open

    def watch(file):
        seen.append(list(warnings.filters) == before)
        return pillows_open(file)

    monkeypatch.setattr(Image, "open", watch)
    in_threads(8, lambda: load_image(tmp_path / "a.png"))
    assert seen == [True] * 8
    assert list(warnings.filters) == before


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


def test_hidden_files_and_folders_do_not_count_below_the_root(tmp_path):
    root = tmp_path / ".cache"
    root.mkdir()
    class_folders(root, cat=1, dog=1)
    (root / "cat" / ".DS_Store").write_text("x")
    for hidden in (root, root / "cat"):
        (hidden / ".ipynb_checkpoints").mkdir()
        Image.new("RGB", (8, 8)).save(hidden / ".ipynb_checkpoints" / "0-checkpoint.png")
    dataset = image_folder(root)
    assert dataset.classes == ["cat", "dog"]
    assert len(dataset) == 2
    assert dataset.skipped == []


def test_a_file_that_is_not_a_picture_is_named_or_skipped(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    path = tmp_path / "cat" / "notes.txt"
    path.write_text("x")
    with pytest.raises(ImageError, match=r"^root: .*notes.txt' could not .*skip_broken"):
        image_folder(tmp_path)
    dataset = image_folder(tmp_path, skip_broken=True)
    assert len(dataset) == 2
    assert dataset.skipped == [path]


def test_a_truncated_picture_is_named_when_reached_or_skipped(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    path = tmp_path / "cat" / "cut.png"
    path.write_bytes(noise("PNG")[:2000])
    with pytest.raises(ImageError, match=r"^path: .*cut.png"):
        list(image_folder(tmp_path))
    dataset = image_folder(tmp_path, skip_broken=True)
    assert len(list(dataset)) == 2
    assert dataset.skipped == [path]


@pytest.mark.parametrize("error", [KeyError("tag"), AttributeError("seek"), RecursionError()])
def test_a_file_of_a_folder_is_named_whatever_pillow_raises(tmp_path, monkeypatch, error):
    class_folders(tmp_path, cat=1, dog=1)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageError, match=r"^root: .*0.png"):
        image_folder(tmp_path)


def test_loops_of_links_end(tmp_path, in_threads):
    class_folders(tmp_path, cat=1, dog=1)
    try:
        for kind in ("cat", "dog"):
            for i in range(4):  # Several a folder: the ways through them are past counting.
                (tmp_path / kind / f"link{i}").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    (dataset,) = in_threads(1, lambda: image_folder(tmp_path))
    # Of each class its own picture, and through the links the other's, once.
    assert dataset.targets == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"got .* with \[\], expected two or more folders"),
        ({"cat": 1}, r"got .* with \['cat'\], expected two or more folders"),
        ({"cat": 1, "dog": 0}, r"got no pictures in \['dog'\]"),
        (None, r"got .*nowhere with \[\], expected"),
    ],
)
def test_a_folder_without_two_classes_of_pictures_is_refused(tmp_path, files, message):
    root = tmp_path / "nowhere" if files is None else class_folders(tmp_path, **files)
    with pytest.raises(ValueError, match=rf"^root: {message}"):
        image_folder(root)
