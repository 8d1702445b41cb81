"""Which weights the model file has: the only record of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar


class _Stage(Protocol):
    """A stage that has ended; `pawsure.evaluation.diagnosis.StageRecord` is one."""

    @property
    def name(self) -> str: ...
    @property
    def kept_epoch(self) -> int: ...
    @property
    def in_time(self) -> bool: ...
    @property
    def share(self) -> float: ...
    @property
    def is_selected(self) -> bool: ...


AnyStage = TypeVar("AnyStage", bound=_Stage)


@dataclass(frozen=True, kw_only=True)
class Selected:
    """Which weights the model file has.

    Attributes:
        stage: the last stage that was not discarded.
        epoch: of this stage, from 1; of a linear probe, the number of its penalty.
        is_probe: whether the stage fits a linear probe at once, without epochs.
        share: of the trained weights, in (0, 1]; the rest are the weights that the stage started
            from. 1: not interpolated.
        discarded: stages whose weights were discarded.
        tta: whether the file uses test-time augmentation.
    """

    stage: str
    epoch: int
    is_probe: bool
    share: float = 1.0
    discarded: tuple[str, ...] = ()
    tta: bool = False

    @classmethod
    def of(cls, stages: Sequence[_Stage], *, tta: bool) -> Selected:
        """The record of a run whose stages ended like this; at least one was not discarded."""
        last = last_selected(stages)
        return cls(
            stage=last.name,
            epoch=last.kept_epoch,
            is_probe=not last.in_time,
            share=last.share,
            discarded=tuple(stage.name for stage in stages if not stage.is_selected),
            tta=tta,
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Selected:
        """Read back what `to_dict` gave."""
        return cls(**{**record, "discarded": tuple(record["discarded"])})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "discarded": list(self.discarded)}

    def sentence(self) -> str:
        """For people."""
        which = (
            f"the linear probe of stage {self.stage}"
            if self.is_probe
            else f"the weights of {self.stage}, epoch {self.epoch}"
        )
        if self.share < 1:
            which += f", interpolated: {self.share:.0%} trained, {1 - self.share:.0%} initial"
        if self.tta:
            which += ", with test-time augmentation"
        lost = "".join(
            f" Discarded: {name}, whose validation loss was no lower." for name in self.discarded
        )
        return f"The model file has {which}.{lost}"


def last_selected(stages: Sequence[AnyStage]) -> AnyStage:
    """The stage whose weights the model file has."""
    return [stage for stage in stages if stage.is_selected][-1]
