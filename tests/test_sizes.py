from __future__ import annotations

from pathlib import Path

from sizes import find_large

_ROOT = Path(__file__).parents[1]


def test_the_package_is_within_the_limits():
    assert list(find_large(_ROOT / "bkgpipe")) == []


def test_what_is_too_large_is_named(tmp_path):
    body = [f"    x{i} = {i}\n" for i in range(40)]
    words = '    """Words.\n\n    More.\n    """\n\n    # why\n'
    (tmp_path / "a.py").write_text(f"def large():\n{words}{''.join(body)}")
    (tmp_path / "b.py").write_text("x = 1\n" * 401)
    (tmp_path / "c.py").write_text(f"def fine():\n{words}{''.join(body[1:])}")

    found = list(find_large(tmp_path))

    assert found == [
        f"{tmp_path / 'a.py'}:1: large has 41 lines, at most 40",
        f"{tmp_path / 'b.py'}: 401 lines, at most 400",
    ]


def test_a_folder_with_many_modules_is_named(tmp_path):
    for number in range(33):
        (tmp_path / f"m{number}.py").touch()

    assert list(find_large(tmp_path)) == [f"{tmp_path}: 33 modules, at most 32"]
