"""`tfcyclegan translate`."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfcyclegan import flags
from tfcyclegan.config import AUGMENTED, TranslateConfig
from tfcyclegan.config.measured_reading import parted
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

if TYPE_CHECKING:
    from tfcyclegan.data.domains import Domains
    from tfcyclegan.data.images import Scale
    from tfcyclegan.data.picture_folders import Reading
    from tfcyclegan.training.runs import Run
    from tfcyclegan.translation.measured_files import Previews
    from tfcyclegan.translation.translators import Translator
    from tfcyclegan.translation.value_pair import ValuePair

Config = TranslateConfig
EXAMPLES = """
    tfcyclegan translate --run_dir=runs/satellite2map --input=PICTURES --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --direction=ba \\
        --data_dir=data/satellite2map --output=translated/ba
    tfcyclegan translate --model=saved_models/satellite2map --input=tile.png --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --scale=original --input=huge.tif \\
        --output=translated --tile=256
    tfcyclegan translate --run_dir=runs/gta2city --input=drive.mp4 --output=translated \\
        --temporal_ema=0.6
    tfcyclegan translate --run_dir=runs/gta2city --data_dir=data/gta5 --split=train,val \\
        --output_data=data/gta5_as_city
    tfcyclegan translate --run_dir=runs/many --input=PICTURES --output=translated --samples=8
    tfcyclegan translate --run_dir=runs/satellite2map --scale=original --input=region_a.png \\
        --output=translated --report --truth=region_b.png
    tfcyclegan translate --run_dir=runs/t1_to_t2 --input=scan.nii.gz --output=translated --previews
"""


def run(config: TranslateConfig) -> None:
    from tfcyclegan.data.source import check_places
    from tfcyclegan.engines import open_engine
    from tfcyclegan.exports.hub import located
    from tfcyclegan.training.runs import only_direction, read_run

    trained = read_run(Path(config.run_dir)) if config.run_dir else None
    model = located(config.model, "model")
    if trained is None and not model.exists():
        raise UserError(
            f"--model={config.model}: no such file or directory; make one with tfcyclegan export"
        )
    if trained is not None:
        _check_answers(config, trained)
    if config.input and not Path(config.input).exists():
        raise UserError(f"--input={config.input}: no such file or directory")
    if config.truth and not Path(config.truth).exists():
        raise UserError(f"--truth={config.truth}: no such file or directory")
    check_places(config.data_dir)
    files.require_no_file(
        "output_data" if config.output_data else "output", Path(config.output or config.output_data)
    )
    engine = open_engine(config)
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.data.images import RESIZED
    from tfcyclegan.data.intake import HINTS
    from tfcyclegan.data.video import is_video
    from tfcyclegan.exports import exported_models, model_metadata
    from tfcyclegan.translation.answers import with_answers
    from tfcyclegan.translation.data_sets import translate_data
    from tfcyclegan.translation.elsewhere import of_model, of_run
    from tfcyclegan.translation.measured_splits import require_kind, translate_measured_split
    from tfcyclegan.translation.measurements import translate_measurements
    from tfcyclegan.translation.reporting import show_in_report, truths_of
    from tfcyclegan.translation.translators import (
        copies_on_devices,
        scale_of,
        translate_path,
        translate_split,
    )

    if is_video(Path(config.input)):
        _require_no_choices_of_pictures(config)
    if config.temporal_ema and not is_video(Path(config.input)):
        raise UserError("--temporal_ema: requires a video as --input")
    if config.frozen_statistics and not is_video(Path(config.input)):
        raise UserError("--frozen_statistics: requires a video as --input")
    scale = None
    direction = config.direction or only_direction(trained)
    if trained is not None:
        how: dict[str, Any] = {"tile": config.tile, "training_mode": config.training_mode}
        there = (trained, config.checkpoint, direction)
        translators = copies_on_devices(*there, **how)
        elsewhere = of_run(engine, *there, **how) if engine else None
        if config.samples:
            seed = config.seed or 0
            translators = [with_answers(each, config.samples, seed) for each in translators]
        scale = scale_of(trained) if config.scale == "trained" else None
        _tell_choices(trained, config, direction, scale)
    else:
        how = {"trusted": config.trust_model, "fit": config.scale == "fit"}
        translators = [exported_models.from_model(model, **how)]
        elsewhere = of_model(engine, model, **how) if engine else None
        direction = _direction_of_model(translators[0].identity.get("direction", ""), config)
    values, arrays = translators[0].values, f".{config.arrays}"
    _check_kind(config, values)
    if config.samples and (values.source is not None or is_video(Path(config.input))):
        kind = "measurements" if values.source is not None else "videos"
        raise UserError(f"--samples={config.samples}: of pictures, not of {kind}; leave it out")
    previews = _previews(config, values, direction)
    if config.report and (is_video(Path(config.input)) or values.source or values.target):
        raise UserError("--report: shows pictures alone, neither videos nor measurements")
    if is_video(Path(config.input)):
        _translate_video(config, translators, scale)
    elif config.input and values.source is not None:
        _tell_contradiction(Path(config.input), direction)
        translate_measurements(
            translators,
            Path(config.input),
            Path(config.output),
            scale=scale,
            options=_opening(config, trained, translators[0].reading, direction),
            previews=previews,
        )
    elif config.input:
        _tell_contradiction(Path(config.input), direction)
        nearest = (
            direction[0] in trained.label_maps
            if trained
            else model_metadata.takes_label_maps(model_metadata.read(model))
        )
        reading = _reading(config, trained, translators[0].reading, direction)
        given, output = Path(config.input), Path(config.output)
        truths = truths_of(given, Path(config.truth), reading, output) if config.truth else {}
        translate_path(
            translators,
            given,
            output,
            scale=scale,
            nearest=nearest,
            reading=reading,
            arrays=arrays,
        )
        if trained is not None and config.report:
            show_in_report(
                trained,
                given,
                output,
                truths,
                direction=direction,
                checkpoint=translators[0].identity["checkpoint"],
                reading=reading,
                samples=config.samples,
            )
    else:
        domains = open_domains(config.data_dir)
        source, splits = domains.choose(
            direction,
            [name for name in config.split.split(",") if name],
            cross_domain=config.cross_domain,
        )
        _refuse_other_domain(config, trained, source.fingerprint, direction)
        for split in splits:
            require_kind(source, split, values.source)
        if not config.split:
            log(
                f"{source.directory}: translating split {splits[0]}, since --direction={direction} "
                f"starts from domain {direction[0].upper()}"
            )
        if config.output_data:
            command = f"tfcyclegan translate {shlex.join(flags.to_flag_file(config).splitlines())}"
            translate_data(
                translators,
                source,
                splits,
                Path(config.output_data),
                scale=scale,
                command=command,
                elsewhere=elsewhere,
            )
        elif values.source is not None:
            translate_measured_split(
                translators,
                source,
                ",".join(splits),
                Path(config.output),
                scale=scale,
                arrays=arrays,
                previews=previews,
            )
        else:
            translate_split(
                translators,
                source,
                ",".join(splits),
                Path(config.output),
                scale=scale,
                hints={RESIZED: HINTS[RESIZED]},
                arrays=arrays,
            )
    if trained is not None and config.output:
        log(
            f"next: tfcyclegan evaluate --run_dir={config.run_dir} scores the run on its test "
            "pictures, against controls"
        )


def _translate_video(
    config: TranslateConfig, translators: "Sequence[Translator]", scale: "Scale | None"
) -> None:
    from tfcyclegan.translation.video import translate_video

    values, channels = translators[0].values, translators[0].channels
    if channels != 3 or values.source is not None or values.target is not None:
        kind = "measurements" if values.source or values.target else f"{channels} channels"
        raise UserError(
            f"--input={config.input}: is a colour video, but the model translates {kind}"
        )
    translate_video(
        translators,
        Path(config.input),
        Path(config.output),
        scale=scale,
        temporal_ema=config.temporal_ema,
        frozen_statistics=config.frozen_statistics,
    )


def _tell_choices(
    trained: "Run", config: TranslateConfig, direction: str, scale: "Scale | None"
) -> None:
    """Reports the choices besides the run: direction, checkpoint and scale."""
    from tfcyclegan.training.checkpoints import told_choice

    back = direction[::-1]
    other = (
        f"; --direction={back} is the other direction"
        if not config.direction and f"gen_{back}" in trained.networks
        else ""
    )
    log(
        f"{trained.directory}: translates {direction} with checkpoint "
        f"{told_choice(trained.directory, config.checkpoint)}{other}"
    )
    if trained.config.method == AUGMENTED:
        log(f"{trained.directory}: {_told_answers(config)}")
    if scale is not None and not scale.keeps_sizes:
        measured = bool(trained.values.get(direction[0].upper()))
        back = ", and results keep the sizes of their inputs" if measured else ""
        log(
            f"{trained.directory}: {'planes' if measured else 'pictures'} are translated at "
            f"{scale}, as in its training{back}; --scale=original keeps their sizes"
        )


def _told_answers(config: TranslateConfig) -> str:
    if not config.samples:
        return "the answer of the zero latent, the mean one; --samples=N draws others"
    return (
        f"{config.samples} answers to each picture, NAME_1 to NAME_{config.samples}, by the same "
        f"latents for all, drawn with --seed={config.seed or 0}"
    )


def _check_answers(config: TranslateConfig, trained: "Run") -> None:
    """Raises UserError for options of several answers where the run's generators have one."""
    given = f"--samples={config.samples}" if config.samples else f"--latent={config.latent}"
    if (config.samples or config.latent) and trained.config.method != AUGMENTED:
        raise UserError(
            f"{given}: {trained.directory} is a run of --method={trained.config.method}, whose "
            "generators have one answer to a picture; leave it out, or give a run of "
            f"--method={AUGMENTED}"
        )


def _direction_of_model(own: str, config: TranslateConfig) -> str:
    """The direction of an exported model, whose metadata may contain it."""
    if own and config.direction and own != config.direction:
        raise UserError(
            f"--direction={config.direction}: {config.model} only translates {own}; leave "
            "--direction out, or export the other direction"
        )
    return own or config.direction or "ab"


def _domains_of(trained: "Run | None") -> "Domains | None":
    """The data that a run was trained on, if it still exists."""
    from tfcyclegan.data.domains import open_domains

    if trained is None or not trained.config.data_dir:
        return None
    try:
        return open_domains(trained.config.data_dir)
    except UserError:
        return None


def _as_in_training(
    trained: "Run | None", of_model: Mapping[str, Any], direction: str
) -> Mapping[str, Any]:
    """How the data of the run or of the exported model were read, see `Domains.reading`."""
    if trained is None:
        return of_model
    if trained.reading is not None:
        return trained.reading.get(direction[0], {})
    if domains := _domains_of(trained):
        return domains.reading(direction[0])
    if trained.config.data_dir:
        log(
            f"{trained.directory}: of an older version, and its data are gone, so how they were "
            "read is not known: the input is read by the flags alone"
        )
    return {}


def _reading(
    config: TranslateConfig, trained: "Run | None", of_model: Mapping[str, Any], direction: str
) -> "Reading":
    """How pictures are read: as the flags say, otherwise like those that the run or the exported
    model was trained on.
    """
    from tfcyclegan.data.intake import Rules
    from tfcyclegan.data.picture_folders import Reading
    from tfcyclegan.exports.model_metadata import told_reading

    theirs, _ = parted(_as_in_training(trained, of_model, direction))
    given = {
        name: value
        for name in ("alpha", "extra_bands", "max_value")
        if (value := getattr(config, name))
    }
    taken = {name: value for name, value in theirs.items() if name not in given}
    if taken:
        told = told_reading(taken)
        log(f"{config.input}: read with {told}, like the data of {config.run_dir or config.model}")
    return Reading(Rules(**theirs | given, by_flags=True), config.pages)


def _require_no_choices_of_pictures(config: TranslateConfig) -> None:
    """Raises UserError if a flag says how to read what no video has."""
    for name in ("alpha", "extra_bands", "max_value", "pages"):
        if (given := getattr(config, name)) and given != "all":  # all pages, the default
            raise UserError(f"--{name}={given}: is for pictures, not for a video; leave it out")


def _check_kind(config: TranslateConfig, values: "ValuePair") -> None:
    """Raises UserError for a flag that only applies to the other kind of input."""
    measured, pictures = {**config.opening}, {}
    if values.target is not None:
        measured["previews"] = config.previews
    for name in ("alpha", "extra_bands", "max_value"):
        pictures[name] = getattr(config, name)
    pictures["pages"] = config.pages if config.pages != "all" else ""
    if config.displays_by_choice and not config.previews:
        raise UserError("--display_range, --display_bands, --display_map: require --previews")
    if config.arrays != "npy" and (values.target is None or config.output_data):
        raise UserError(f"--arrays={config.arrays}: requires translations that are measurements")
    kind = "8-bit pictures" if values.source is None else "measurements"
    for name in measured if values.source is None else pictures:
        if (measured | pictures)[name]:
            raise UserError(
                f"--{name}: not for {kind}, which {config.run_dir or config.model} translates"
            )


def _previews(config: TranslateConfig, values: "ValuePair", direction: str) -> "Previews | None":
    """The previews of translations that are measurements."""
    from tfcyclegan.data.display import displays_of
    from tfcyclegan.translation.measured_files import Previews

    sides = zip(direction.upper(), (values.source, values.target), strict=True)
    known = {letter: side for letter, side in sides if side is not None}
    if not config.previews:
        return None
    letter = direction[1].upper()
    if letter not in known:
        raise UserError("--previews: requires translations that are measurements; these are PNGs")
    display = displays_of(known, **config.display)[letter]
    log(f"previews: {display.told}")
    return Previews(display)


def _opening(
    config: TranslateConfig, trained: "Run | None", of_model: Mapping[str, Any], direction: str
) -> dict[str, Any]:
    """How files of measurements are opened: as the flags say, otherwise like those that the data
    was prepared from.
    """
    from tfcyclegan.exports.model_metadata import told_reading

    _, theirs = parted(_as_in_training(trained, of_model, direction))
    taken = {name: value for name, value in theirs.items() if name not in config.opening}
    if taken:
        log(
            f"{config.input}: opened with {told_reading(taken)}, like the data of "
            f"{config.run_dir or config.model}"
        )
    return theirs | config.opening


def _refuse_other_domain(
    config: TranslateConfig, trained: "Run | None", fingerprint: str, direction: str
) -> None:
    """Raises UserError if the data set is that of the run's other domain."""
    domains = _domains_of(trained)
    if domains is None or domains.a is domains.b or config.cross_domain:
        return
    own, other = (domains.a, domains.b) if direction == "ab" else (domains.b, domains.a)
    if fingerprint == other.fingerprint != own.fingerprint:
        raise UserError(
            f"--data_dir={config.data_dir}: is domain {direction[1].upper()} of {config.run_dir}, "
            f"but --direction={direction} starts from domain {direction[0].upper()}; give "
            f"--direction={direction[::-1]}, or --cross_domain to translate it anyway"
        )


def _tell_contradiction(path: Path, direction: str) -> None:
    """Warns of a folder that is named like one of the other domain."""
    own, other = direction[0].upper(), direction[1].upper()
    if re.fullmatch(f"(train|test|val){other}", path.resolve().name):
        log(
            f"{path}: named like domain {other}, but --direction={direction} starts from domain "
            f"{own}; check that this is intended"
        )
