"""Pictures of every kind come out upright and RGB, or are refused by name; folders of them."""

import io
import os
import re
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

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


def tiff(pixels, photometric=1, bits=None):
    """A grey TIFF of our own: Pillow writes none in which 0 is white, and none of 12 bits."""
    (height, width), content = pixels.shape, pixels.tobytes()
    entries = [
        (256, width),
        (257, height),
        (258, bits or 8 * pixels.itemsize),
        (259, 1),  # Not compressed.
        (262, photometric),
        (273, 8 + 2 + 12 * 9 + 4),  # Where the pixels begin.
        (277, 1),
        (278, height),
        (279, len(content)),
    ]
    table = b"".join(struct.pack("<2H2I", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + content


@pytest.mark.parametrize(
    ("dtype", "photometric", "expected"),
    [(np.uint8, 1, 63), (np.uint8, 0, 192), (np.uint16, 1, 64), (np.uint16, 0, 191)],
)
def test_a_tiff_is_no_negative_where_0_is_white(tmp_path, dtype, photometric, expected):
    quarter = np.full((4, 4), np.iinfo(dtype).max // 4, dtype)
    (tmp_path / "a.tif").write_bytes(tiff(quarter, photometric))
    assert colour_of(load_image(tmp_path / "a.tif")) == (expected,) * 3


def test_a_tiff_of_12_bits_is_refused_as_pillow_misreads_it(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.full((4, 6), 0xFF, np.uint8), bits=12))
    with pytest.raises(ImageError, match=r"a\.tif.*TIFF"):
        load_image(tmp_path / "a.tif")


def planes(dtype):
    """An RGB TIFF whose three colours lie one behind the other."""
    content = np.zeros((3, 4, 4), dtype)
    content[0] = np.iinfo(dtype).max // 2 + 1  # Dark red.
    bits, begin = 8 * content.itemsize, 8 + 2 + 12 * 10 + 4
    arrays = struct.pack("<3H", bits, bits, bits) + bytes(2)
    strips = [begin + 32 + i * content[0].nbytes for i in range(3)]
    arrays += struct.pack("<6I", *strips, *[content[0].nbytes] * 3)
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 3, begin), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 3, begin + 8), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 3, begin + 20)]
    table = b"".join(struct.pack("<2H2I", *entry) for entry in [*entries, (284, 3, 1, 2)])
    head = struct.pack("<2sHIH", b"II", 42, 8, 10)
    return head + table + bytes(4) + arrays + content.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_in_planes_are_right_or_refused(tmp_path, dtype):
    (tmp_path / "a.tif").write_bytes(planes(dtype))
    with Image.open(tmp_path / "a.tif") as image:
        assert (image.size, image.tag_v2[284]) == ((4, 4), 2)
    try:
        colour = colour_of(load_image(tmp_path / "a.tif"))
    except ImageError:
        colour = (128, 0, 0)
    assert colour == (128, 0, 0)


def test_a_transparent_shade_of_16_bits_is_refused(tmp_path):
    shades = np.array([[1234, 1235, 32896]], np.uint16)  # 1234 and 1235 are one shade of 8 bits.
    Image.fromarray(shades).save(tmp_path / "a.png", transparency=1234)
    with pytest.raises(ImageError, match=r"a\.png.*transparent"):
        load_image(tmp_path / "a.png")


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


def linear_srgb(name):
    """sRGB's primaries without its curve, under any name."""

    def fixed_points(*values):
        return b"".join(struct.pack(">i", round(65536 * value)) for value in values)

    def xyz(*values):
        return b"XYZ \0\0\0\0" + fixed_points(*values)

    text = name.encode() + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + b"\0\0"  # The power 1.
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1, 0.8249),
        b"rXYZ": xyz(0.43607, 0.2225, 0.01393),
        b"gXYZ": xyz(0.38506, 0.71688, 0.0971),
        b"bXYZ": xyz(0.14308, 0.06062, 0.71417),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    begin, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += tag + struct.pack(">2I", begin + len(body), len(content))
        body += content
    head = struct.pack(">I4sI", begin + len(body), b"lcms", 0x02400000) + b"mntrRGB XYZ "
    head += bytes(12) + b"acsp" + bytes(28) + fixed_points(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("name", ["linear", "GIMP built-in Linear sRGB"])
def test_a_linear_profile_is_converted_whatever_its_name(tmp_path, name):
    picture = Image.new("RGB", (4, 4), (55, 55, 55))
    picture.save(tmp_path / "a.png", icc_profile=linear_srgb(name))
    assert colour_of(load_image(tmp_path / "a.png")) == GREY


def test_a_profile_that_is_srgb_itself_changes_nothing(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    difference = np.asarray(load_image(tmp_path / "a.png")).astype(int) - pixels
    assert np.abs(difference).max() <= 1


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
        assert loaded.info == {}
        assert dict(loaded.getexif()) == {}


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
        with pytest.raises(ImageError, match=re.escape(str(tmp_path / "a"))):
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
    with pytest.raises(ImageError, match=r"bomb\.png.*pixels"):
        load_image(tmp_path / "bomb.png")


def test_89_megapixels_are_not_refused_for_their_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png(89_000_000, 1, 8, zlib.compress(bytes(1000))))
    with pytest.raises(ImageError, match=r"truncated|broken|decompress"):
        load_image(tmp_path / "a.png")


def postscript(path):
    Image.new("RGB", (8, 8)).save(path, "EPS")


def endless(path):
    if not os.path.exists("/dev/zero"):
        pytest.skip("this system has no /dev/zero")
    path.symlink_to("/dev/zero")


def fits(path):
    """A picture of a telescope, whose values Pillow does not scale."""
    cards = {"SIMPLE": "T", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 4, "NAXIS2": 4, "BZERO": 9}
    header = "".join(f"{key:8}= {value:>20}".ljust(80) for key, value in cards.items()) + "END"
    path.write_bytes(header.ljust(2880).encode() + bytes(2880))


HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(99)  # What Pillow identifies and cannot decode.


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("no picture"), "identify"),
        (lambda path: path.write_bytes(b""), "identify"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: None, "No such file"),
        (postscript, "EPS"),
        (lambda path: path.write_bytes(HDF5), "HDF5"),
        (fits, "FITS"),
        (endless, "not a regular file"),
        (grey(0.5, np.float32).save, "floats"),
        (grey(-5, np.int32).save, "65535"),
        (grey(70000, np.int32).save, "65535"),
    ],
    ids=[
        "text",
        "empty",
        "folder",
        "missing",
        "EPS",
        "HDF5",
        "FITS",
        "device",
        "float",
        "-5",
        "70000",
    ],
)
def test_what_is_not_a_picture_is_named(tmp_path, monkeypatch, make, why):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)  # It must not be asked for.
    path = tmp_path / "thing.jpg"
    if make.__name__ == "save":
        path = path.with_suffix(".tif")
    make(path)
    with pytest.raises(ImageError, match=rf"thing\..*{why}"):
        load_image(path)


def test_an_address_is_told_to_be_one():
    with pytest.raises(ImageError, match=r"example\.org.*address.*download"):
        load_image("https://example.org/cat.jpg")


def with_much_text(path):
    """A good picture with more compressed text than Pillow unpacks."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "x" * 1_100_000, zip=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)


def test_a_good_picture_with_much_text_is_told_the_way_out(tmp_path, monkeypatch):
    with_much_text(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.png.*raise MAX_TEXT_CHUNK.*PIL\.PngImagePlugin"):
        load_image(tmp_path / "a.png")
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 2_000_000)
    assert load_image(tmp_path / "a.png").size == (8, 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path, in_threads):
    os.mkfifo(tmp_path / "pipe.jpg")

    def refused():
        with pytest.raises(ImageError, match="not a regular file"):
            load_image(tmp_path / "pipe.jpg")
        return True

    assert in_threads(1, refused) == [True]


def test_heic_without_its_package_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    with pytest.raises(ImageError, match=r"a\.HEIC.*pip install pillow-heif"):
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
    with pytest.raises(ImageError, match=r"notes\.txt"):
        image_folder(tmp_path)
    dataset = image_folder(tmp_path, skip_broken=True)
    assert len(dataset) == 2
    assert dataset.skipped == [path]


def test_a_truncated_picture_is_named_when_reached_or_skipped(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    path = tmp_path / "cat" / "cut.png"
    path.write_bytes(noise("PNG")[:2000])
    with pytest.raises(ImageError, match=r"cut\.png"):
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
    with pytest.raises(ImageError, match=r"0\.png"):
        image_folder(tmp_path)


def test_what_pillow_only_identifies_is_named_at_the_start(tmp_path):
    class_folders(tmp_path, cat=1, dog=1)
    (tmp_path / "cat" / "features.h5").write_bytes(HDF5)
    with pytest.raises(ImageError, match=r"features\.h5.*HDF5"):
        image_folder(tmp_path)


def heic(path):
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))


@pytest.mark.parametrize("make", [with_much_text, heic])
def test_what_can_be_read_with_some_help_is_not_skipped_without_a_word(tmp_path, monkeypatch, make):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    class_folders(tmp_path, cat=1, dog=1)
    make(tmp_path / "cat" / "good.png")
    with pytest.raises(ImageError, match=r"good\.png.*(pip install|raise MAX_TEXT_CHUNK)"):
        image_folder(tmp_path, skip_broken=True)


@pytest.mark.parametrize(
    ("files", "fact"), [({}, "class folder"), ({"cat": 1, "dog": 0}, "dog"), (None, "nowhere")]
)
def test_a_folder_without_classes_of_pictures_is_refused(tmp_path, files, fact):
    root = tmp_path / "nowhere" if files is None else class_folders(tmp_path, **files)
    with pytest.raises(ValueError, match=f"root .*{fact}"):
        image_folder(root)
