"""Where data/ lies; files that appear whole or not at all."""

import pytest

from camutils.data import data_path, whole_file


def test_data_lies_beside_the_package_or_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.delenv("CAMUTILS_DATA", raising=False)
    assert data_path("scenes", "elephants.jpg").is_file()
    assert data_path("a", "b.txt").parts[-3:] == ("data", "a", "b.txt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMUTILS_DATA", ".")
    assert data_path("a") == tmp_path.resolve() / "a"


def test_a_file_appears_whole_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "new" / "folders" / "a.txt"
    for content in ("first", "second"):
        with whole_file(path) as temporary:
            temporary.write_text(content)
            assert temporary.name == path.name  # So that its ending tells the format.
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_of_a_file_that_fails_nothing_is_left(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_two_may_write_the_same_file_at_once(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as one, whole_file(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
