"""The OpenAPI document is true: schemathesis asks everything it allows, and what it forbids."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from served_colours import picture

KINDS = {
    "application/octet-stream": "JPEG",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
}
for kind, format in KINDS.items():
    # Random bytes are no pictures, so that nothing would ever be answered.
    pictures = [picture(answer, format) for answer in ("red", "blue", "neither")]
    schemathesis.openapi.media_type(kind, st.sampled_from(pictures))


@pytest.fixture(scope="module")
def documented(address: str) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    # Too many pictures break `maxItems`, and 413 is the status for it.
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_does_what_its_document_says(documented, mode):
    operations = [found.ok() for found in documented.get_all_operations()]
    assert len(operations) == 14
    for operation in operations:
        # An operation that takes nothing can't be asked wrongly.
        if mode is GenerationMode.POSITIVE or operation.body or operation.query:
            check(operation, mode)


def check(operation: schemathesis.APIOperation, mode: GenerationMode) -> None:
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(max_examples=20, suppress_health_check=list(hypothesis.HealthCheck))
    def every_case(case: schemathesis.Case) -> None:
        # What can't be said in JSON Schema: that the bytes of a form's file are a picture, that
        # a tensor fits its own shape, which name the model has.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    every_case()
