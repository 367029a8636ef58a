"""The tab Live."""

from typing import Protocol

from nicegui import ui
from starlette.routing import BaseRoute

from fer_ros.web.settings import WebSettings


class LiveSource(Protocol):
    """What the tab shows and can ask for; see `fer_ros.web.live`."""


class LivePage:
    """One for the program; `build` is called for each browser."""

    def __init__(self, settings: WebSettings, live: LiveSource) -> None:
        self._settings, self._live = settings, live

    def build(self) -> None:
        """Fill the tab, in a NiceGUI page."""
        ui.label('waiting for the first frame')

    def routes(self) -> list[BaseRoute]:
        """What the tab asks for, below /live/."""
        return []

    def close(self) -> None:
        """The program ends."""
