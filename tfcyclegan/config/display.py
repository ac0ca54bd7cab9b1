"""Options of all commands that show measurements as pictures."""

from dataclasses import dataclass

from tfcyclegan.config.base import Options, option


@dataclass(frozen=True, kw_only=True)
class DisplayOptions(Options):
    """How measurements are shown in strips, pages and previews; their values do not change."""

    display_range: str = option(
        "",
        "values of measurements shown as black and white, such as -200:300; A's and B's separated "
        "by a slash; default: their value range",
        on_resume="free",
    )
    display_bands: str = option(
        "",
        "channels of measurements shown as red, green and blue, such as 4,3,2, or a single "
        "channel; A's and B's separated by a slash; default: the channels of these names, or the "
        "first three",
        on_resume="free",
    )
    display_map: str = option(
        "gray",
        "Matplotlib colour map for measurements of which one channel is shown",
        on_resume="free",
    )

    @property
    def displays_by_choice(self) -> bool:
        """Whether any of these options is not its default."""
        return bool(self.display_range or self.display_bands or self.display_map != "gray")

    @property
    def display(self) -> dict[str, str]:
        """The options as arguments of `data.display.displays_of`."""
        return {
            "window": self.display_range,
            "bands": self.display_bands,
            "colour_map": self.display_map,
        }
