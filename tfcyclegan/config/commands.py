"""Options of the commands that use a trained run."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, Size, option
from tfcyclegan.config.display import DisplayOptions
from tfcyclegan.config.engines import LOCAL, EngineOptions
from tfcyclegan.config.measured_reading import MeasuredOptions
from tfcyclegan.config.reading import (
    pages_option,
    translate_alpha_option,
    translate_extra_bands_option,
    translate_max_value_option,
)
from tfcyclegan.errors import UserError

DIRECTIONS = ("ab", "ba")
PAIRS = ("auto", "names", "none")
"""The values of --pairs other than a file."""
EXPORT_FORMATS = ("saved_model", "tflite", "onnx", "openvino")
TFLITE_CONVERTERS = ("tensorflow", "litert")
CHECKPOINT_HELP = "latest, best or a step"
DIRECTION_HELP = "ab translates domain A to B, ba B to A"
HUB_HELP = (
    "or hf:FOLDER as export --hub_dir makes it, or hf:OWNER/NAME from this machine's cache of the "
    "Hugging Face Hub"
)
TRUST_HELP = (
    "load a SavedModel even if it may do more than compute, such as write files; it then has all "
    "of your permissions"
)


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(MeasuredOptions, EngineOptions):
    """Options of `tfcyclegan translate`."""

    run_dir: str = option("", "run directory to translate with")
    model: str = option(
        "",
        "exported model to translate with, instead of --run_dir: a SavedModel directory, a file "
        f"of TFLite (.tflite), ONNX (.onnx) or OpenVINO (.xml); {HUB_HELP}",
    )
    trust_model: bool = option(False, TRUST_HELP)
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    direction: str = option(
        "",
        f"{DIRECTION_HELP}; default: ab, or the only one of the run or of the exported model",
        choices=("", *DIRECTIONS),
    )
    input: str = option(
        "",
        "picture, folder of pictures or video, or files of measurements if the run was trained on "
        "measurements; or use --data_dir and --split",
    )
    data_dir: str = option(
        "", "prepared data set to translate instead of --input; or two, as for training"
    )
    split: str = option(
        "",
        "split of --data_dir; with --output_data several, separated by commas; default: the test "
        "pictures of the source domain of --direction, or its val pictures if there are no others",
    )
    cross_domain: bool = option(
        False, "also accept pictures that are not of the source domain of --direction"
    )
    pages: str = pages_option()
    alpha: str = translate_alpha_option()
    extra_bands: str = translate_extra_bands_option()
    max_value: int | None = translate_max_value_option()
    scale: str = option(
        "trained",
        "trained resizes pictures as in the training of --run_dir, and measurements only for the "
        "network, since results keep their pixels; original keeps sizes, the default of --model; "
        "fit resizes to the size of a .tflite file and back",
        choices=("trained", "original", "fit"),
    )
    tile: int | None = option(
        None,
        "side in pixels of the tiles in which larger pictures are computed, in bounded memory and "
        "with the same result as the whole picture; default: 256, for pictures of more than "
        "2048x1024 pixels",
        minimum=64,
    )
    training_mode: bool = option(
        False,
        "translate as the official test of pix2pix does: batch norm uses each picture's own "
        "statistics and dropout is active, whose draws depend on the order of the pictures; not "
        "with --tile",
    )
    samples: int = option(
        0,
        "answers to each picture, NAME_1.png, NAME_2.png and so on, of a run of "
        "--method=augmented, by latents drawn with --seed; 0 makes the one of the zero latent",
        minimum=0,
        maximum=10_000,
    )
    seed: int | None = option(
        None,
        "random seed of the latents of --samples; default 0",
        minimum=0,
        maximum=2**32 - 1,
    )
    latent: str = option(
        "",
        "zero makes the mean answer of a run of --method=augmented, as by default",
        choices=("", "zero"),
    )
    temporal_ema: float = option(
        0.0,
        "for a video: share of the previous frame's translation, moved along with the input's "
        "motion, that is mixed into each frame; 0 to below 1, higher values flicker less",
        minimum=0,
        maximum=0.95,
    )
    frozen_statistics: bool = option(
        False,
        "for a video: normalises all frames by the mean statistics of 16 of them, where each is by "
        "its own, which flickers when what is in view changes; of a --run_dir with instance norm",
    )
    output: str = option(
        "",
        "folder for the translated PNGs, or for files of measurements, which keep the names of the "
        "input",
    )
    output_data: str = option(
        "",
        "directory of a new data set with the translated pictures of --data_dir and their names "
        "and labels; pictures that become measurements lose their labels",
    )

    report: bool = option(
        False,
        "also show the first pictures of --input whole in the run's report.html, beside their "
        "translations",
    )
    truth: str = option(
        "",
        "picture or folder of pictures with the right answers, shown by --report beside the "
        "translations of equal names",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.run_dir) == bool(self.model):
            raise UserError("--run_dir or --model: give one of them")
        if self.model and self.checkpoint != "latest":
            raise UserError(
                f"--checkpoint={self.checkpoint}: requires --run_dir; an exported model has the "
                "weights of one checkpoint"
            )
        if self.model and self.tile is not None:
            raise UserError("--tile: requires --run_dir; an exported model computes pictures whole")
        if self.training_mode and (self.model or self.tile is not None):
            raise UserError(
                "--training_mode: requires --run_dir and no --tile; exported models and tiles "
                "use the running statistics"
            )
        for name in ("samples", "frozen_statistics"):
            if self.training_mode and getattr(self, name):
                raise UserError(
                    f"--training_mode: not with --{name}, whose pictures have the running "
                    "statistics and no dropout"
                )
        if self.frozen_statistics and self.tile is not None:
            raise UserError("--tile: not with --frozen_statistics, which computes frames whole")
        if self.scale == "fit" and not self.model.endswith(".tflite"):
            raise UserError(
                "--scale=fit: resizes to the size of a .tflite file, so it requires "
                "--model=NAME.tflite"
            )
        if self.trust_model and not self.model:
            raise UserError("--trust_model: requires --model; a run holds weights and no program")
        if bool(self.input) == bool(self.data_dir):
            raise UserError("--input or --data_dir: give one of them")
        if bool(self.output) == bool(self.output_data):
            raise UserError(
                "--output or --output_data: give one of them, a folder for PNGs or a directory "
                "for a data set"
            )
        for name in ("alpha", "extra_bands", "max_value"):
            if self.data_dir and getattr(self, name):
                raise UserError(
                    f"--{name}={getattr(self, name)}: requires --input; data_prep has read the "
                    "pictures of a prepared data set"
                )
        if self.data_dir and self.pages != "all":
            raise UserError(
                f"--pages={self.pages}: requires --input; data_prep has read the pictures of a "
                "prepared data set"
            )
        if self.input and (self.split or self.cross_domain):
            raise UserError(
                f"{'--split' if self.split else '--cross_domain'}: requires --data_dir; --input "
                "has no splits"
            )
        self._check_samples()
        if self.previews and self.output_data:
            raise UserError("--previews: requires --output; a data set holds only arrays")
        if self.report and not (self.run_dir and self.input):
            raise UserError("--report: shows pictures of --input in the report of --run_dir")
        if self.truth and not self.report:
            raise UserError(f"--truth={self.truth}: is shown by --report alone; give that as well")
        if self.engine_name != LOCAL and not self.output_data:
            raise UserError(
                f"--engine={self.engine_name}: translates a data set into a data set, so it "
                "requires --data_dir and --output_data"
            )
        if self.output_data and not self.data_dir:
            raise UserError(
                "--output_data: translates a prepared data set, so it requires --data_dir, not "
                "--input"
            )

    def _check_samples(self) -> None:
        given = f"--samples={self.samples}"
        if self.seed is not None and not self.samples:
            raise UserError(f"--seed={self.seed}: draws the latents of --samples; give --samples")
        if self.samples and self.latent:
            raise UserError(f"--latent={self.latent}: has one answer; leave it or {given} out")
        for name in ("model", "output_data"):
            if self.samples and getattr(self, name):
                other = {"model": "run_dir", "output_data": "output"}[name]
                raise UserError(f"{given}: goes with --{other}, not with --{name}")
        if self.latent and self.model:
            raise UserError(
                f"--latent={self.latent}: requires --run_dir; an exported model has that answer "
                "alone"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(DisplayOptions, EngineOptions):
    """Options of `tfcyclegan evaluate`."""

    run_dir: str = option("", "run to score")
    translations: str = option(
        "", "folder of translated pictures to score, named as in the split, instead of --run_dir"
    )
    translations_suffix: str = option(
        "",
        "what follows a picture's name in --translations, such as _fake_B; files without it are "
        "skipped; default: nothing, or guessed",
    )
    translations_channels: int | None = option(
        None,
        "channels in which --translations are scored; default: 1 if all are gray, otherwise 3",
        choices=(1, 3),
    )
    data_dir: str = option(
        "", "prepared data set, or two separated by a comma; default: the run's own"
    )
    pairs: str = option(
        PAIRS[0],
        "which test pictures are pairs: auto pairs equal names if the pictures' content confirms "
        "it, names pairs equal names, none pairs none; or a CSV file with the columns a,b",
    )
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    split: str = option(
        "test",
        "test, or val to choose settings without looking at the test pictures",
        choices=("test", "val"),
    )
    direction: str = option("ab", f"{DIRECTION_HELP}; or both", choices=(*DIRECTIONS, "both"))
    features: str = option(
        "alexnet",
        "network for KID and FID; none leaves out these and LPIPS",
        choices=("alexnet", "vgg16", "inception", "none"),
    )
    features_weights: str = option(
        "", "weights file for --features=inception, the network of published FIDs"
    )
    judge: str = option(
        "none",
        "auto trains a segmenter once on real photos of the target domain and scores what it "
        "recognises in translations",
        choices=("none", "auto"),
    )
    regions: str = option(
        "",
        "folder with maps of region ids, named like the test measurements, which are also scored "
        "in each region; 0 is outside all regions",
    )
    output: str = option(
        "", "folder for scores, page and pictures; default: evaluation in --run_dir"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.run_dir) == bool(self.translations):
            raise UserError("--run_dir or --translations: give one of them")
        if self.translations and not (self.data_dir and self.output):
            raise UserError(
                "--translations: needs --data_dir, whose split was translated, and --output"
            )
        for name in ("translations_suffix", "translations_channels"):
            if getattr(self, name) and not self.translations:
                raise UserError(f"--{name}={getattr(self, name)}: requires --translations")
        if self.translations and self.checkpoint != "latest":
            raise UserError(
                f"--checkpoint={self.checkpoint}: requires --run_dir; --translations have no "
                "checkpoint"
            )
        if self.translations and self.direction == "both":
            raise UserError("--direction=both: --translations has one direction; give ab or ba")
        if (self.features == "inception") != bool(self.features_weights):
            raise UserError("--features=inception and --features_weights: give both, or neither")


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Options):
    """Options of `tfcyclegan compare`."""

    run_dirs: str = option(
        "", "two or more evaluated runs separated by commas: runs/a,runs/b", required=True
    )
    output: str = option("compare.html", "page to write")
    pictures: int = option(6, "test pictures shown for each direction", minimum=1, maximum=50)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len([name for name in self.run_dirs.split(",") if name]) < 2:
            raise UserError(
                f"--run_dirs={self.run_dirs}: give two or more runs, separated by commas"
            )


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Options):
    """Options of `tfcyclegan export`."""

    run_dir: str = option("", "run to export", required=True)
    output: str = option(
        "", "folder of the model, such as saved_models/satellite2map", required=True
    )
    checkpoint: str = option("latest", CHECKPOINT_HELP)
    direction: str = option("ab", DIRECTION_HELP, choices=DIRECTIONS)
    tflite_size: Size | None = option(
        None, "size of the TFLite models' pictures; default: the run's crop size"
    )
    min_psnr: float = option(
        30.0,
        "PSNR in dB against Keras that a TFLite model must reach, in the mean and for the worst "
        "test picture, to be listed as usable",
        minimum=0,
    )
    data_dir: str = option(
        "", "prepared data set for measuring and calibrating; default: the run's own"
    )
    formats: str = option(
        "saved_model,tflite",
        f"formats to write, separated by commas: {', '.join(EXPORT_FORMATS)}; all but the first "
        "two need the extra of the same name",
    )
    hub_dir: str = option(
        "",
        "folder to make for the Hugging Face Hub: the export, its model card as README.md with "
        "metadata, and the weights as safetensors; needs the extra hub, and uploads nothing",
    )
    tflite_converter: str = option(
        "tensorflow",
        "what makes the TFLite files: tensorflow, by tf.lite, or litert, by the packages that take "
        "its place, which needs the extra of that name",
        choices=TFLITE_CONVERTERS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.format_names if name not in EXPORT_FORMATS]
        if unknown or not self.format_names:
            raise UserError(
                f"--formats={self.formats}: {unknown[0] if unknown else 'nothing'!r} is not a "
                f"format; valid are {', '.join(EXPORT_FORMATS)}, separated by commas"
            )
        if "saved_model" not in self.format_names:
            raise UserError(
                f"--formats={self.formats}: an export needs its SavedModel for serving; give "
                f"--formats=saved_model,{self.formats}"
            )
        if self.tflite_converter != "tensorflow" and "tflite" not in self.format_names:
            raise UserError(
                f"--tflite_converter={self.tflite_converter}: makes TFLite files, which "
                f"--formats={self.formats} leaves out; add tflite to it"
            )

    @property
    def format_names(self) -> tuple[str, ...]:
        """The requested formats in the order of EXPORT_FORMATS, without duplicates."""
        given = self.formats.split(",")
        known = [name for name in EXPORT_FORMATS if name in given]
        return (*known, *(name for name in given if name not in EXPORT_FORMATS))


@dataclass(frozen=True, kw_only=True)
class DoctorConfig(Options):
    """Options of `tfcyclegan doctor`."""

    measure: bool = option(
        True,
        "time parts of a training step for two seconds, to estimate how long training takes here",
    )


@dataclass(frozen=True, kw_only=True)
class ImportConfig(Options):
    """Options of `tfcyclegan import_weights`. A flag is named like its field, without the trailing
    underscore.
    """

    from_: str = option(
        "",
        "source of the weights: pytorch (official .pth files) or tfa (Keras 2 .h5 with "
        "tensorflow-addons)",
        required=True,
        choices=("pytorch", "tfa"),
    )
    weights: str = option(
        "",
        "weights file; or, for pytorch, the folder with latest_net_G_A.pth, ..._G_B, ..._D_A and "
        "..._D_B",
        required=True,
    )
    output: str = option("", "run directory to make", required=True)
    network: str = option(
        "",
        "which network a single file holds; default: by its name, otherwise gen_ab",
        choices=("", "gen_ab", "gen_ba", "disc_a", "disc_b"),
    )
    epoch: str = option(
        "", "which files of a folder: 200 for 200_net_G_A.pth and so on; default: the latest"
    )
