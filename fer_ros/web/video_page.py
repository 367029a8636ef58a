"""The tab Video."""

from starlette.routing import BaseRoute

from fer_ros.web.settings import WebSettings


class VideoPage:
    """One for the program; `build` is called for each browser."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings

    def build(self) -> None:
        """Fill the tab, in a NiceGUI page."""

    def routes(self) -> list[BaseRoute]:
        """What is downloaded and uploaded, below /video/."""
        return []

    def close(self) -> None:
        """End the jobs and remove their files."""
