"""The appearance of the page: style sheet, and colours for light and dark backgrounds."""

from pathlib import Path

from fer_ros.drawing.colours import NEGATIVE, NEUTRAL, POSITIVE, Colour, dash_of
from fer_ros.drawing.valence_plot import NEUTRAL_BAND
from fer_ros.emotions import EMOTIONS, GROUP_OF, GROUPS

STYLE = Path(__file__).with_name('style.css').read_text(encoding='utf-8')
CHART = Path(__file__).with_name('chart')
"""Folder of the JavaScript module with which both tabs draw charts."""

COLOURS = {'primary': '#0b4f7d', 'positive': '#00664a', 'negative': '#b3261e', 'info': '#0b4f7d'}
"""Colours of buttons and notifications: white text on them has a contrast above 4.5, as required by WCAG 2 (1.4.3)."""

LIGHT_GROUND: Colour = (255, 255, 255)
DARK_GROUND: Colour = (29, 29, 29)
"""Background of the cards on which lines are drawn."""
CONTRAST = 3.0
"""Minimum contrast of a line with its background, as required by WCAG 2 (1.4.11)."""

def face_style(colour: Colour) -> dict:
    """Style of the line of a face: ``light`` and ``dark`` as #rrggbb, and ``dash``, lengths in px (empty: solid)."""
    return {**_on_both(colour), 'dash': list(dash_of(colour))}


def palette() -> dict:
    """Constants for the page: emotions with their groups, and colours and bounds of the groups."""
    colour = dict(zip(GROUPS, (NEGATIVE, NEUTRAL, POSITIVE), strict=True))
    bounds = dict(zip(GROUPS, ((-1, -NEUTRAL_BAND), (-NEUTRAL_BAND, NEUTRAL_BAND), (NEUTRAL_BAND, 1)), strict=True))
    return {
        'emotions': [{'name': e, 'group': GROUP_OF.get(e, 'neutral')} for e in EMOTIONS],
        'groups': {name: {**_on_both(colour[name]), 'bounds': bounds[name]} for name in GROUPS},
    }


def contrast(a: Colour, b: Colour) -> float:
    """Contrast of two colours as defined by WCAG 2, 1 to 21."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def readable(colour: Colour, ground: Colour) -> Colour:
    """`colour`, darkened or lightened as far as necessary for `CONTRAST` with `ground`."""
    target = 0 if _luminance(ground) > 0.5 else 255
    for step in range(21):
        blue, green, red = (round(c + (target - c) * step / 20) for c in colour)
        mixed = blue, green, red
        if contrast(mixed, ground) >= CONTRAST:
            return mixed
    return mixed


def _on_both(colour: Colour) -> dict[str, str]:
    return {name: '#{2:02x}{1:02x}{0:02x}'.format(*readable(colour, ground))
            for name, ground in (('light', LIGHT_GROUND), ('dark', DARK_GROUND))}


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return linear[2] * 0.2126 + linear[1] * 0.7152 + linear[0] * 0.0722
