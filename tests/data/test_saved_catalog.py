from __future__ import annotations

import numpy as np
import pytest
from tiny_runs import tiny_run

from pawsure.data.checksums import write_checksums
from pawsure.data.saved_catalog import load_catalog
from pawsure.data.sources import open_source
from pawsure.errors import DataError


def test_a_recorded_catalog_is_the_one_that_was_written(tmp_path):
    folder, catalog = tiny_run(tmp_path / "run", with_trust=False)
    found = load_catalog(folder / "catalog.parquet", open_source(tmp_path / "pictures"))
    assert found is not None
    assert found.fingerprint == catalog.fingerprint
    assert found.labels == catalog.labels
    np.testing.assert_array_equal(found.split, catalog.split)
    assert found.read(3) == catalog.read(3)


def test_other_pictures_have_no_recorded_catalog(tmp_path):
    folder, _ = tiny_run(tmp_path / "run", with_trust=False)
    (tmp_path / "pictures" / "red" / "0.png").unlink()
    source = open_source(tmp_path / "pictures")
    assert load_catalog(folder / "catalog.parquet", source) is None
    assert load_catalog(tmp_path / "nothing.parquet", source) is None


def test_a_recorded_catalog_that_was_damaged_is_refused(tmp_path):
    file = tmp_path / "catalog.parquet"
    file.write_bytes(b"as it was")
    write_checksums(tmp_path, [file.name])
    file.write_bytes(b"as it wat")
    with pytest.raises(DataError, match=r"catalog\.parquet was damaged or changed"):
        load_catalog(file, source=None)
