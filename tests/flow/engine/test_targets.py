from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.chain.record import read_record_header, write_marker
from bkgpipe.core.product import ProductHeader
from bkgpipe.flow.engine.targets import ProductTarget

_HEADER = ProductHeader(
    stage="count", fingerprint="3fa9c1", inputs="now", seconds=1.5, version="0.1"
)


@pytest.fixture
def target(tmp_path: Path) -> ProductTarget:
    return ProductTarget(
        tmp_path / "folder" / "store.json",
        inputs=lambda: "now",
        read_header=read_record_header,
    )


def _write(target: ProductTarget) -> None:
    with target.temporary_path() as path:
        write_marker(Path(path), _HEADER)


def test_a_product_of_the_present_inputs_exists(target, tmp_path):
    assert not target.exists()

    _write(target)

    assert target.exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["store.json"]


def test_a_product_of_other_inputs_does_not_and_is_replaced(target, tmp_path):
    target.makedirs()
    old = ProductHeader(**{**vars(_HEADER), "inputs": "before"})
    write_marker(Path(target.path), old)

    assert not target.exists()

    _write(target)
    assert target.exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["store.json"]


def test_a_damaged_product_is_set_aside(target, caplog):
    target.makedirs()
    path = Path(target.path)
    path.write_text("words")

    assert not target.exists()

    assert path.with_name("store.json.damaged").read_text() == "words"
    assert not path.exists()
    assert "It was moved to" in caplog.text
