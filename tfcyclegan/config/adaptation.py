"""Options of `tfcyclegan adapt`."""

from dataclasses import dataclass

from tfcyclegan.config.base import option
from tfcyclegan.config.segmentation import SegmenterOptions
from tfcyclegan.errors import UserError

ARMS = (
    "source_only",
    "colour_matching",
    "fda",
    "translated",
    "translated_semantic",
    "self_training",
    "oracle",
)


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(SegmenterOptions):
    """Domains, arms and where the results go; the options above apply to every arm's segmenter."""

    source_dir: str = option(
        "", "labelled data set of the source domain", required=True, on_resume="free"
    )
    source_split: str = option("train", "its split to learn from")
    target_dir: str = option(
        "",
        "data set of the target domain; only the scoring and the oracle read its labels",
        required=True,
        on_resume="free",
    )
    target_split: str = option("train", "its split to adapt to, without labels")
    target_score_split: str = option("val", "its split with labels that all arms are scored on")
    translator: str = option(
        "", "run directory of a translator from source (A) to target (B)", on_resume="free"
    )
    checkpoint: str = option(
        "latest",
        "checkpoint of the translator: latest, best or a step",
        on_resume="free",  # recognised by its weights
    )
    data_recipe: str = option(
        "",
        "how to make the data and the translator, in words; shown if they are missing",
        on_resume="free",
    )
    output_dir: str = option(
        "",
        "directory of all arms and of the report; the same command continues there",
        required=True,
        on_resume="free",
    )
    arms: str = option(
        ",".join(ARMS), f"arms to train, separated by commas: {', '.join(ARMS)}", on_resume="free"
    )
    seeds: str = option(
        "0,1,2",
        "seeds of the segmenter, separated by commas; every arm is trained with each of them",
        on_resume="free",
    )
    fda_beta: float = option(
        0.01, "share of the shorter side whose frequencies FDA swaps", minimum=0, maximum=0.5
    )
    lambda_semantic: float = option(
        1.0, "weight of the semantic losses of the arm translated_semantic", above=0
    )
    semantic_steps: int = option(
        0,
        "training steps of that arm's translator, starting from the translator's weights; 0 trains "
        "it from new weights, for as long as the translator",
        minimum=0,
    )
    pseudo_threshold: float = option(
        0.95,
        "probability from which on a pixel's prediction is used as its label",
        above=0,
        maximum=1,
    )
    pseudo_kept: float = option(
        0.5,
        "share of each class's most confident pixels that is used in any case",
        minimum=0,
        maximum=1,
    )
    pseudo_rounds: int = option(1, "rounds of self-training", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [arm for arm in self.arm_names if arm not in ARMS]
        if unknown or not self.arm_names:
            raise UserError(
                f"--arms={self.arms}: unknown {', '.join(unknown) or 'choice'}; valid are "
                f"{', '.join(ARMS)}"
            )
        if not all(seed.isascii() and seed.isdigit() for seed in self.seeds.split(",")):
            raise UserError(
                f"--seeds={self.seeds}: write numbers separated by commas, such as 0,1,2"
            )
        if self.needs_translator and not self.translator:
            raise UserError(
                f"--translator: the arms {', '.join(self.needs_translator)} need a translator; "
                "give its run directory or leave them out of --arms"
            )

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The requested arms, in the order in which they build on each other."""
        asked = [name.strip() for name in self.arms.split(",") if name.strip()]
        return tuple(
            sorted(dict.fromkeys(asked), key=lambda name: ARMS.index(name) if name in ARMS else -1)
        )

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(int(seed) for seed in self.seeds.split(",")))

    @property
    def needs_translator(self) -> list[str]:
        """The requested arms that need a translator."""
        return [
            name
            for name in self.arm_names
            if name in ("translated", "translated_semantic", "self_training")
        ]
