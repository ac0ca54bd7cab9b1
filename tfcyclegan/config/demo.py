"""Options of `tfcyclegan demo`."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option
from tfcyclegan.config.commands import HUB_HELP
from tfcyclegan.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Options):
    """Options of `tfcyclegan demo`."""

    model: str = option(
        "",
        "a .tflite file, or a folder of exports such as saved_models/satellite2map; several, "
        f"separated by commas, become directions to switch between; {HUB_HELP}",
        required=True,
    )
    samples: str = option(
        "",
        "folder of sample pictures, or one for each model, separated by commas; default: test "
        "pictures of the model's run, if it is here",
    )
    port: int = option(
        0, "port of the page on this machine; 0 takes a free one", minimum=0, maximum=65535
    )
    open_browser: bool = option(False, "open the page in this machine's browser")
    export: str = option(
        "", "folder in which to write the page as a static site for any host, instead of serving it"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.sample_folders) not in (0, 1, len(self.models)):
            raise UserError(
                f"--samples={self.samples}: give one folder, or one for each of the "
                f"{len(self.models)} models"
            )
        if self.export and (self.port or self.open_browser):
            raise UserError(
                "--export: writes the page without serving it, so --port and --open_browser have "
                "no effect"
            )

    @property
    def models(self) -> list[str]:
        return self.model.split(",")

    @property
    def sample_folders(self) -> list[str]:
        return self.samples.split(",") if self.samples else []
