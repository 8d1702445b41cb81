"""Recipes: everything that decides a training run, as data.

A recipe is a TOML file. Reading is strict: a key that nobody knows is an error that lists
those there are, because a misspelt setting that is ignored costs somebody an afternoon.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
import types
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pawsure.data.augment import Augmentation
from pawsure.errors import RecipeError
from pawsure.network.recipe import AUTO, HEAD, OWN, WHOLE, ModelRecipe, Standardisation, is_file
from pawsure.network.weights import PETS_BACKBONE, PETS_SIZE_PX

LOGISTIC = "logistic"
"""`optimizer` of a stage that fits a linear probe at once."""


_FROZEN = "{} stays frozen, so only a head can learn (optimizer = 'logistic'). Take --recipe fast."


@dataclass(frozen=True, kw_only=True)
class SplitRecipe:
    """Shares of the pictures held out where the data do not say so themselves.

    Attributes:
        validation: chooses and calibrates.
        test: touched once, at the end. Taken from the training pictures where the data give
            validation but no test split.
        minimum: different pictures of each label that each of them has at least, or a sixth of
            the label where that is fewer; see `pawsure.data.split.assign_splits`.
    """

    validation: float = 0.1
    test: float = 0.1
    minimum: int = 5


@dataclass(frozen=True, kw_only=True)
class TrustRecipe:
    """When not to answer.

    Attributes:
        max_error: share of wrong answers allowed among those given, in [0, 1]: below some
            probability the answer is "unsure". 1: every picture is answered. One in a hundred
            is what most networks reach on nine pictures of ten.
        rejected: share of pictures of the labels, changed at random, that may be called "neither"
            so that other pictures are, in [0, 1). 0: never "neither". Of pictures as they are,
            one in fifty is at 5%.
        neither: a folder of pictures that are none of the labels, to learn from; "": none.
        background: a folder of ordinary pictures of all kinds, relative to which pictures are
            familiar; "": the built-in statistics of the backbone, where there are some.
    """

    max_error: float = 0.01
    rejected: float = 0.05
    neither: str = ""
    background: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of training.

    Attributes:
        name: how it is called on screen and in the history.
        train_from: "head", "auto", "all"; the first layer that learns, by its name or its
            number as Keras counts `model.layers`; or about which share of the layers stays
            frozen, in (0, 1), which fits any backbone.
        epochs: passes over the training pictures.
        optimizer: as in `keras.optimizers`; or "logistic": a linear probe (train_from = "head"
            only; the settings of gradient steps do not apply).
        learning_rate: the highest.
        schedule: "constant", or "cosine" down to zero after a warm-up.
        warmup: share of the steps in which the rate climbs from zero, in [0, 1).
        weight_decay: decoupled (Loshchilov & Hutter 2019, arXiv:1711.05101); AdamW only.
        batch_size: pictures a step.
        batch_norm: "frozen" keeps scale, shift and statistics of every BatchNormalization;
            "train" does as a plain Keras script does.
        label_smoothing: share of the target spread over all labels (Szegedy et al. 2016).
        head_rate: rate of the head, as a multiple of that of the backbone's last layer.
        deep_rate: the same for the deepest layer that learns; those between lie between.
        mixup: strength of blending pairs of rows and their targets; 0: none
            (Zhang et al. 2018, arXiv:1710.09412, alpha).
        average: share of the running average of the weights that each step keeps, in [0, 1);
            the average is what is judged and kept (Polyak & Juditsky 1992). 0: none.
        augment: how pictures are changed at random; the defaults leave them as they are.
        views: how many changes of each picture are stored and taken in turn with the picture
            itself; 0 changes the pixels anew in every epoch, which a stage with
            train_from = "all" can do.
        refresh: epochs after which the stored views are replaced by new ones; 0: never.
        teacher: a model file of the same labels, or its run folder: what it says of each view
            replaces the picture's label (distillation: Hinton et al. 2015,
            arXiv:1503.02531; of the very same view, over many epochs: Beyer et al. 2022,
            arXiv:2106.05237). "": the labels.
        keep: weights after the "best" epoch by validation loss, or after the "last".
        interpolate: weight interpolation between the initial and the trained weights, as far
            as it lowers the validation loss (Wortsman et al. 2022, arXiv:2109.01903).
        keep_frozen: keep a frozen copy of the layers that learn, with the linear probe on it,
            beside them, and answer with the mean of both: a fine-tuned network knows its labels
            better, a frozen one other sources. The frozen features also judge familiarity.
        patience: epochs without a lower validation loss before the stage ends; 0: never.
    """

    name: str
    train_from: str | int | float = HEAD
    epochs: int = 8
    optimizer: Literal["rmsprop", "adam", "adamw", "sgd", "logistic"] = "adamw"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 32
    batch_norm: Literal["frozen", "train"] = "frozen"
    label_smoothing: float = 0.0
    head_rate: float = 1.0
    deep_rate: float = 1.0
    mixup: float = 0.0
    average: float = 0.0
    augment: Augmentation = field(default_factory=Augmentation)
    views: int = 0
    refresh: int = 0
    teacher: str = ""
    keep: Literal["best", "last"] = "best"
    interpolate: bool = False
    keep_frozen: bool = False
    patience: int = 0

    @property
    def is_augmented(self) -> bool:
        """Whether pictures are changed at random."""
        return self.augment != Augmentation()

    @property
    def sees_originals(self) -> bool:
        """Whether it learns from stored features of the pictures as they are, too."""
        return self.views > 0 or not self.is_augmented

    @property
    def softens_targets(self) -> bool:
        """Whether it learns from targets that are less sure than the labels."""
        return self.label_smoothing > 0 or self.mixup > 0 or bool(self.teacher)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training run.

    Attributes:
        name: of the file it came from.
        description: what it is for and what it reaches.
        seed: decides splits, initial weights, order and dropout.
        model: the network.
        split: what is held out.
        trust: when not to answer.
        stages: in order.
    """

    name: str = "custom"
    description: str = ""
    seed: int = 0
    model: ModelRecipe = field(default_factory=ModelRecipe)
    split: SplitRecipe = field(default_factory=SplitRecipe)
    trust: TrustRecipe = field(default_factory=TrustRecipe)
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what can't be trained."""
        _check(self)

    @property
    def needs_keras(self) -> bool:
        """Whether a stage takes gradient steps."""
        return any(stage.optimizer != LOGISTIC for stage in self.stages)

    @property
    def train_froms(self) -> list[str | int | float]:
        """Where the stages start to learn, each named once."""
        return list(dict.fromkeys(stage.train_from for stage in self.stages))


def load_recipe(name: str | Path | Recipe, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a built-in recipe or a TOML file, and change some of its keys.

    Args:
        name: of a built-in recipe, a path to a TOML file, or a recipe.
        overrides: value by key: `seed`, `model.dropout`, or `stages.fine-tune.epochs` with the
            stage's name or number; a name may go without `stages.`, and a key that stands in
            one table only without that.

    Raises:
        RecipeError: no such recipe, a key that is not known, a value of the wrong kind.
    """
    if isinstance(name, Recipe):
        table, title = _parse(recipe_to_toml(name), name.name), name.name
    else:
        table, title = _read_table(name)
    for key, value in (overrides or {}).items():
        _override(table, key, value, title)
    if isinstance(table.get("model"), dict):
        if isinstance(name, Recipe):
            own = dict(table["model"])  # it says everything
        else:
            own = {} if str(name) in recipe_names() else _read_table(name)[0].get("model", {})
        given = {*own, *(key.rpartition(".")[2] for key in overrides or {})}
        if table["model"].get("weights") == "pets" and "backbone" not in given:
            # The one backbone that there are such weights for, and the size they learned at.
            table["model"]["backbone"] = PETS_BACKBONE
            if "image_size" not in given:
                table["model"]["image_size"] = PETS_SIZE_PX
        _settle_file(table["model"], given, table.get("stages", ()))
    return _build(Recipe, {"name": title, **table}, title)


def with_backbone(
    model: ModelRecipe, backbone: str, settings: Mapping[str, Any] | None = None
) -> ModelRecipe:
    """The same recipe of a network for another backbone, as far as it can be the same.

    Args:
        model: the recipe.
        backbone: a name, or an ONNX file.
        settings: what such a file does not say itself, by the keys of a recipe's `model`; a
            name leaves them out.

    Raises:
        RecipeError: an ONNX file that does not say what has to be known of it.
        WeightsError: an ONNX file that can't be taken.
    """
    if not is_file(backbone):
        is_own = isinstance(model.scaling, Standardisation) or model.weights == OWN
        return dataclasses.replace(
            model,
            backbone=backbone,
            output="",
            scaling="unit" if model.scaling == "unit" else "backbone",
            weights="imagenet" if is_own else model.weights,
        )
    from pawsure.graph.foreign import declared

    size = declared(backbone).size_px or model.image_size
    if settings:
        chosen = {"backbone": backbone, "image_size": size, **settings}
        return load_recipe("fast", chosen).model
    same = backbone == model.backbone
    return dataclasses.replace(
        model,
        backbone=backbone,
        weights=OWN,
        output=model.output if same else "",
        image_size=size,
    )


def backbone_name(model: ModelRecipe) -> str:
    """What a model file calls its backbone: of a file the name, and not where it lay."""
    return Path(model.backbone).name if is_file(model.backbone) else model.backbone


def _settle_file(model: dict[str, Any], given: set[str], stages: Any) -> None:
    """Take what is not given of an ONNX file from the file itself, in place.

    Args:
        model: the raw table of the network.
        given: its keys that whoever trains has chosen; the others are those of a recipe for
            other backbones.
        stages: the raw tables of the stages.
    """
    backbone = model.get("backbone")
    if not isinstance(backbone, str) or not is_file(backbone):
        return
    if any(isinstance(stage, dict) and stage.get("optimizer") != LOGISTIC for stage in stages):
        raise RecipeError(_FROZEN.format(backbone))
    from pawsure.graph.foreign import declared

    told = declared(backbone)
    size = model.get("image_size")
    if "image_size" not in given:
        if told.size_px is None:
            raise RecipeError(
                f"{backbone} takes pictures of any size, and does not say which it was trained "
                "on. Say it: --image-size 224"
            )
        model["image_size"] = told.size_px
    elif told.fixed_px not in (None, size):
        raise RecipeError(
            f"{backbone} takes pictures of {told.fixed_px} pixels only; got image_size = {size}."
        )
    if "weights" in given and model.get("weights") != OWN:
        raise RecipeError(f"{backbone} has its own weights. Leave weights out.")
    model["weights"] = OWN
    if told.takes_bytes and "scaling" in given and model.get("scaling") != "backbone":
        raise RecipeError(f"{backbone} takes bytes and scales them itself. Leave scaling out.")
    if "scaling" not in given:
        model["scaling"] = "backbone"
        if told.scaling is None and not told.takes_bytes:
            raise RecipeError(
                f"{backbone} does not say how pixels are scaled. Say it: --set scaling=imagenet "
                "(ImageNet's mean and deviation), --set scaling=unit (0 to 1), or "
                "--set 'model.scaling={mean=[0.5, 0.5, 0.5], deviation=[0.5, 0.5, 0.5]}'."
            )
    if "output" not in given and told.output:
        model["output"] = told.output


def recipe_from_text(text: str, name: str) -> Recipe:
    """Read a recipe from TOML text; `name` is what errors call it.

    Raises:
        RecipeError: see `load_recipe`.
    """
    return _build(Recipe, _parse(text, name), name)


def recipe_names() -> list[str]:
    """The built-in recipes."""
    files = resources.files("pawsure.training.recipes").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".toml"))


def recipe_to_toml(recipe: Recipe) -> str:
    """A recipe as TOML text, every key written out; `recipe_from_text` reads it back."""
    table = dataclasses.asdict(recipe)
    stages = table.pop("stages")
    lines = [_line(key, value) for key, value in table.items() if not isinstance(value, dict)]
    for section, content in table.items():
        if isinstance(content, dict):
            lines += ["", f"[{section}]", *(_line(key, value) for key, value in content.items())]
    for stage in stages:
        lines += ["", "[[stages]]", *(_line(key, value) for key, value in stage.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{key} = {{ {', '.join(_line(*item) for item in value.items())} }}"
    # JSON's strings, numbers, booleans and lists of these are TOML's as well.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _read_table(name: str | Path) -> tuple[dict[str, Any], str]:
    """The raw table of a recipe, and what to call it."""
    if str(name) in recipe_names():
        file = resources.files("pawsure.training.recipes") / f"{name}.toml"
        return _parse(file.read_text(encoding="utf-8"), str(name)), str(name)
    path = Path(name)
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe '{name}'. The built-in recipes are {', '.join(recipe_names())}; "
            "for one of your own, give the path of a TOML file."
        )
    return _parse(utf8_text(path), path.name), path.stem


def utf8_text(path: Path) -> str:
    """The text of a recipe's file.

    Raises:
        RecipeError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path} is not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x}). "
            "Recipes are TOML, which is UTF-8: save the file in that encoding."
        ) from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not valid TOML: {error}.") from error
    model = table.get("model")
    if isinstance(model, dict) and "looks" in model:
        key, value = _renamed("looks", model.pop("looks"))
        model.setdefault(key, value)
    return table


def _renamed(key: str, value: Any) -> tuple[str, Any]:
    """A setting of an older pawsure by its name of today, with a warning."""
    section, dot, name = key.rpartition(".")
    if name != "looks" or section not in ("", "model"):
        return key, value
    warnings.warn(
        "The recipe key 'looks' is now 'tta': write tta = true for looks = 2.",
        FutureWarning,
        stacklevel=2,
    )
    return f"{section}{dot}tta", value == 2 if value in (1, 2) else value


def _override(table: dict[str, Any], key: str, value: Any, title: str) -> None:
    """Set one dotted key in a raw table."""
    key, value = _renamed(key, value)
    section, _, rest = key.partition(".")
    stage_names = [stage.get("name") for stage in table.get("stages", [])]
    if section in ("stage", "stages"):
        stage, _, inner = rest.rpartition(".")
        _stage_table(table, stage, title)[inner] = value
    elif rest and section in stage_names and section not in {item.name for item in fields(Recipe)}:
        _stage_table(table, section, title)[rest] = value
    elif rest:
        table.setdefault(section, {})[rest] = value
    else:
        homes = [
            home
            for home, kind in (
                ("model", ModelRecipe),
                ("split", SplitRecipe),
                ("trust", TrustRecipe),
            )
            if key in {item.name for item in fields(kind)}
        ]
        (table.setdefault(homes[0], {}) if homes else table)[key] = value


def _stage_table(table: dict[str, Any], which: str, title: str) -> dict[str, Any]:
    stages: list[dict[str, Any]] = table.get("stages", [])
    for number, stage in enumerate(stages):
        if which in (str(number), stage.get("name")):
            return stage
    names = ", ".join(str(stage.get("name")) for stage in stages)
    raise RecipeError(f"Recipe {title} has no stage '{which}'. Its stages are {names}.")


def _build(kind: Any, table: Any, where: str) -> Any:
    """Make a dataclass from a raw table, strictly."""
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} should be a table of keys and values; got {table!r}.")
    hints = typing.get_type_hints(kind)
    _refuse_unknown(table, hints, where)
    missing = [
        item.name
        for item in fields(kind)
        if item.name not in table
        and item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}.")
    return kind(
        **{key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    )


def _refuse_unknown(table: Mapping[str, Any], known: Sequence[str] | Any, where: str) -> None:
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise RecipeError(
                f"{where} has a key '{key}' that no recipe knows.{hint} "
                f"Known keys: {', '.join(known)}."
            )


def _value(hint: Any, value: Any, where: str) -> Any:
    """One value, checked against its annotation."""
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if origin is tuple:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise RecipeError(f"{where} should be a list; got {value!r}.")
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, each, f"{where} {place}") for place, each in enumerate(value))
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise RecipeError(
                f"{where} should be one of {', '.join(map(str, choices))}; got {value!r}."
            )
        return value
    kinds = typing.get_args(hint) if origin in (typing.Union, types.UnionType) else (hint,)
    tables = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    if tables:  # a word, or a table in its place
        words = next(kind for kind in kinds if kind not in tables)
        return _value(tables[0] if isinstance(value, Mapping) else words, value, where)
    if (
        float in kinds
        and int not in kinds
        and isinstance(value, int)
        and not isinstance(value, bool)
    ):
        return float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise RecipeError(f"{where} should be {names}; got {value!r}.")
    return value


def _check(recipe: Recipe) -> None:
    """Ranges and combinations that types can't say."""

    def need(fine: bool, message: str) -> None:
        if not fine:
            raise RecipeError(f"Recipe {recipe.name}: {message}")

    model, split = recipe.model, recipe.split
    need(recipe.seed >= 0, f"seed must be 0 or more; got {recipe.seed}.")
    need(model.image_size >= 1, f"image_size must be at least 1; got {model.image_size}.")
    scaling = model.scaling
    need(
        scaling != "imagenet" or is_file(model.backbone),
        f"scaling imagenet is for an ONNX file as the backbone; {model.backbone} has its own.",
    )
    if isinstance(scaling, Standardisation):
        need(
            is_file(model.backbone),
            "scaling by mean and deviation is for an ONNX file as the backbone; "
            f"{model.backbone} has its own.",
        )
        need(
            len(scaling.mean) == len(scaling.deviation) == 3 and min(scaling.deviation) > 0,
            "scaling has a mean and a deviation above 0 for each of R, G and B.",
        )
        need(
            max(map(abs, scaling.mean)) <= 10,
            "scaling is of pixels from 0 to 1: divide mean and deviation by 255.",
        )
    if is_file(model.backbone):
        need(not recipe.needs_keras, _FROZEN.format(model.backbone))
        need(model.head == "softmax", "a frozen ONNX file goes with head = 'softmax'.")
    else:
        need(not model.output, f"output is for an ONNX file; got it with {model.backbone}.")
    need(0 <= model.dropout < 1, f"dropout must be in [0, 1); got {model.dropout}.")
    need(
        split.validation > 0 and split.test > 0 and split.validation + split.test < 1,
        "split.validation and split.test must be above 0 and leave something to train on; "
        f"got {split.validation} and {split.test}.",
    )
    need(split.minimum >= 0, f"split.minimum must be 0 or more; got {split.minimum}.")
    trust = recipe.trust
    need(
        0 <= trust.max_error <= 1,
        f"trust.max_error is a share in [0, 1], such as 0.005 for 0.5%; got {trust.max_error}.",
    )
    need(
        0 <= trust.rejected < 1,
        f"trust.rejected is a share in [0, 1), such as 0.05; got {trust.rejected}.",
    )
    need(bool(recipe.stages), "it has no stages. Add a [[stages]] table.")
    names = [stage.name for stage in recipe.stages]
    need(len(set(names)) == len(names), f"stages need different names; got {', '.join(names)}.")
    for stage in recipe.stages:
        at = f"stage {stage.name}: "
        need(
            not isinstance(stage.train_from, float) or 0 < stage.train_from < 1,
            f"{at}train_from as a share must be in (0, 1); got {stage.train_from}.",
        )
        need(stage.epochs >= 1, f"{at}epochs must be at least 1; got {stage.epochs}.")
        need(stage.batch_size >= 1, f"{at}batch_size must be at least 1; got {stage.batch_size}.")
        need(stage.learning_rate > 0, f"{at}learning_rate must be above 0.")
        need(0 <= stage.warmup < 1, f"{at}warmup must be in [0, 1); got {stage.warmup}.")
        need(0 <= stage.label_smoothing < 1, f"{at}label_smoothing must be in [0, 1).")
        need(
            stage.optimizer != LOGISTIC or (stage.train_from == HEAD and not stage.is_augmented),
            f"{at}optimizer logistic goes with train_from = '{HEAD}', and without augment.",
        )
        problem = stage.augment.problem()
        need(not problem, f"{at}augment: {problem}.")
        need(stage.head_rate > 0, f"{at}head_rate must be above 0.")
        need(stage.deep_rate > 0, f"{at}deep_rate must be above 0.")
        need(stage.mixup >= 0, f"{at}mixup must be 0 or more.")
        need(0 <= stage.average < 1, f"{at}average must be in [0, 1).")
        need(stage.views >= 0 and stage.refresh >= 0, f"{at}views and refresh are 0 or more.")
        need(
            stage.views > 0 or stage.train_from == WHOLE or not stage.is_augmented,
            f"{at}augment needs views = 1 or more, unless train_from is '{WHOLE}'.",
        )
        need(
            stage.weight_decay == 0 or stage.optimizer == "adamw",
            f"{at}weight_decay goes with optimizer adamw; got {stage.optimizer}.",
        )
        need(
            not stage.teacher
            or (stage.optimizer != LOGISTIC and (stage.views > 0 or not stage.is_augmented)),
            f"{at}teacher goes with steps (no optimizer logistic) and with stored views, "
            "views = 1 or more.",
        )
        need(
            not stage.interpolate or stage.optimizer != LOGISTIC,
            f"{at}interpolate goes with steps, not with optimizer logistic, which has no start.",
        )
        need(
            stage.label_smoothing == 0 or model.head == "softmax",
            f"{at}label_smoothing goes with a softmax head.",
        )
        need(
            not stage.keep_frozen or _follows_a_probe(recipe, stage),
            f"{at}keep_frozen is for the last stage, behind a single stage with optimizer "
            "logistic, with a softmax head and train_from as a share, a name or a number.",
        )


def _follows_a_probe(recipe: Recipe, stage: Stage) -> bool:
    """Whether the layers of this stage are frozen until then, and a linear probe is known."""
    return (
        len(recipe.stages) == 2
        and stage is recipe.stages[1]
        and recipe.stages[0].optimizer == LOGISTIC
        and recipe.model.head == "softmax"
        and stage.train_from not in (HEAD, WHOLE, AUTO)
    )
