from __future__ import annotations

import json
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.data.file_names import as_label, as_text, from_text, readable

ODD = os.fsdecode(b"k\xe4tze.jpg")


@given(st.binary(max_size=20).filter(lambda data: b"\\udc" not in data))
def test_every_name_of_a_file_comes_back_from_text(data):
    name = os.fsdecode(data)
    as_text(name).encode("utf-8")
    assert os.fsencode(from_text(as_text(name))) == data


def test_tables_and_json_write_a_byte_alike():
    assert as_text(ODD) == r"k\udce4tze.jpg"
    assert json.dumps(ODD) == f'"{as_text(ODD)}"'
    assert json.loads(f'"{as_text(ODD)}"') == ODD


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (os.fsdecode(b"k\xe4tze"), "kätze"),
        (unicodedata.normalize("NFD", "café"), "café"),
        (" dog ", "dog"),
        ("a\nb", "a b"),
        ("red\x1b[2J", "red [2J"),
        ("Golden Retriever", "Golden Retriever"),
        ("\N{CAT FACE}", "\N{CAT FACE}"),
        ("broken\ud800", "broken?"),
    ],
)
def test_labels_are_as_people_read_them(name, label):
    assert as_label(name) == label
    as_label(name).encode()


def test_what_is_unicode_is_left_as_it_is():
    assert readable("größe") == "größe"
