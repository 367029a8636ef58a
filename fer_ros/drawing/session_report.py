"""A session as one self-contained HTML page, to be read, kept and printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from fer_ros.drawing.colours import DASHES, FACE_COLOURS, FaceColours
from fer_ros.drawing.html_page import clock, mean_and_spread, page, percent, share, signed, table
from fer_ros.drawing.valence_plot import NEUTRAL_BAND
from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.results.session_line import runs
from fer_ros.results.session_summary import BRIDGED, Session

WIDTH, HEIGHT = 1000, 320
"""Of the chart, in units of the SVG."""
_LEFT, _TOP, _BOTTOM = 50, 10, 40
COLUMNS = 1000
"""Maximum number of points of a line: each is the mean of what falls into its column."""


def report(title: str, session: Session, summary: dict, markers: Sequence[tuple[float, str]] = (), warning: str = '',
           styles: Mapping[str, Mapping] | None = None, names: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        title: name of the session.
        session: its faces.
        summary: as `fer_ros.results.session_summary.summarise` returns it.
        markers: time in seconds and text of each.
        warning: problems of the recording.
        styles: ``light`` (#rrggbb) and ``dash`` (lengths) by id of the face; by default those of its colour.
        names: names of people by id of the face.
    """
    everyone, people = summary['all'], summary['people']
    shown = [face_id for person in people for face_id in person['ids']]
    parts = [
        f'<h1>{escape(title)}</h1>', f'<p><b>{escape(warning)}</b></p>' if warning else '',
        f'<p>{clock(summary["duration_s"])}, {summary["frames"]} frames. Without a face: '
        f'{share(summary["without_face_s"], summary["duration_s"])}; too poor to be read: '
        f'{percent(everyone["unusable"])} of the time with a face. Faces seen for a moment only: '
        f'{summary["faces_seen_shortly"]}.</p>',
        '<h2>Valence over time</h2>', _chart(session, shown, styles or _styles(shown), names or {}, markers),
        '<h2>People</h2>',
        table(('', 'seen', 'mean valence ± spread', 'longest positive', 'longest negative', 'quality', 'too poor'),
               [(p['name'], clock(p['seconds']), mean_and_spread(p), _stretch(p['longest_positive']),
                 _stretch(p['longest_negative']), percent(p['quality']), percent(p['unusable']))
                for p in _rows(people, everyone)]),
        '<h2>Share of the time per emotion and group</h2>',
        table(('', *EMOTIONS, *(f'{name} (group)' for name in GROUPS)),
               [(p['name'], *(share(p['emotions'][e], p['seconds']) for e in EMOTIONS),
                 *(share(p['groups'][g], p['seconds']) for g in GROUPS)) for p in _rows(people, everyone)]),
    ]
    if markers:
        parts += ['<h2>Markers</h2>', table(('time', 'text'), [(clock(time), text) for time, text in markers])]
    parts.append('<p class="faint">Valence is the probability of happy minus those of angry, disgusted, scared and '
                 'sad, from −1 to +1; its spread is the standard deviation. A stretch is the longest time in one '
                 f'group without a break of more than {BRIDGED:g} s. Emotions are what a network estimates that people '
                 'would see in a face, not what a person feels.</p>')
    return page(title, parts)


@dataclass(frozen=True)
class Compared:
    """One of two sessions that are compared; `summary`, `styles`, `names` and `markers` are those of `report`."""

    title: str
    session: Session
    summary: dict
    styles: Mapping[str, Mapping]
    names: Mapping[str, str] = field(default_factory=dict)
    markers: Sequence[tuple[float, str]] = ()


def comparison(first: Compared, second: Compared) -> str:
    """A page with the lines of two sessions above each other, on one time axis, and the differences of the summary."""
    both = first, second
    end = max(float(one.session.times[-1]) if len(one.session.times) else 0.0 for one in both)
    parts = ['<h1>Comparison</h1>']
    for letter, one in zip('AB', both, strict=True):
        shown = [face_id for person in one.summary['people'] for face_id in person['ids']]
        parts += [f'<h2>{letter}: {escape(one.title)}</h2>',
                  _chart(one.session, shown, one.styles, one.names, one.markers, end)]
    a, b = (one.summary for one in both)
    rows = [('length', *_clocks(a['duration_s'], b['duration_s'])),
            ('people', *(str(len(one['people'])) for one in (a, b)), signed(len(b['people']) - len(a['people']), 0))]
    a, b = a['all'], b['all']
    rows += [('seen, all faces', *_clocks(a['seconds'], b['seconds'])),
             *((name, *_values(a[key], b[key])) for name, key in (('mean valence', 'mean_valence'), (
                 'spread of valence', 'spread'))),
             *((name, *_percents(a[key], b[key])) for name, key in (('quality', 'quality'), ('too poor', 'unusable')))]
    for kind, names in (('emotions', EMOTIONS), ('groups', GROUPS)):
        rows += [(f'{name} (group)' if kind == 'groups' else name, *_percents(*(
            one[kind][name] / one['seconds'] if one['seconds'] else None for one in (a, b)))) for name in names]
    parts += ['<h2>Summary</h2>', table(('', 'A', 'B', 'B minus A'), rows),
              '<p class="faint">Emotions and groups as shares of the time with a face, of all faces together; pp: '
              'percentage points.</p>']
    return page(f'{first.title} – {second.title}', parts)


def _clocks(a: float, b: float) -> tuple[str, str, str]:
    return clock(a), clock(b), f'{signed(b - a, 1)} s'


def _values(a: float | None, b: float | None) -> tuple[str, str, str]:
    if a is None or b is None:
        return ('–' if a is None else signed(a)), ('–' if b is None else signed(b)), '–'
    return signed(a), signed(b), signed(b - a)


def _percents(a: float | None, b: float | None) -> tuple[str, str, str]:
    return percent(a), percent(b), '–' if a is None or b is None else f'{signed(100 * (b - a), 0)} pp'


def _rows(people: list[dict], everyone: dict) -> list[dict]:
    return [*people, {**everyone, 'name': 'all faces'}] if len(people) != 1 else people


def _styles(face_ids: Sequence[str]) -> dict[str, dict]:
    return {face_id: {'light': '#{2:02x}{1:02x}{0:02x}'.format(*colour), 'dash': DASHES[FACE_COLOURS.index(colour)]}
            for face_id, colour in FaceColours()(face_ids).items()}


def _chart(session: Session, face_ids: Sequence[str], styles: Mapping[str, Mapping], names: Mapping[str, str],
           markers: Sequence[tuple[float, str]], end: float = 0.0) -> str:
    """An SVG with the lines of the faces, a legend, and the markers by number; of `end` seconds at least."""
    end = max(float(session.times[-1]) if len(session.times) else 0.0, end, 0.1)
    bottom = HEIGHT - _BOTTOM

    def x(time: float) -> float:
        return _LEFT + time / end * (WIDTH - _LEFT - 10)

    def y(valence: float) -> float:
        return _TOP + (1 - valence) / 2 * (bottom - _TOP)
    parts = [f'<rect x="{_LEFT}" y="{y(NEUTRAL_BAND):.1f}" width="{WIDTH - _LEFT - 10}" height="'
             f'{y(-NEUTRAL_BAND) - y(NEUTRAL_BAND):.1f}" fill="#eee"/>']
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#bbb"/>'
                     f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{signed(value, 1)}</text>')
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = 'end' if part == 1 else 'middle'
        parts.append(f'<text x="{x(part * end):.1f}" y="{bottom + 16}" text-anchor="{anchor}">{clock(part * end)}'
                     '</text>')
    for index, face_id in enumerate(face_ids):
        style = styles[face_id]
        dash = ' '.join(map(str, style['dash']))
        stroke = f'stroke="{escape(str(style["light"]))}" stroke-dasharray="{escape(dash)}"'
        for run in runs(session.times, session.faces[face_id], end, COLUMNS):
            points = ' '.join(f'{x(time):.1f},{y(valence):.1f}' for time, valence in run)
            parts.append(f'<polyline points="{points}" fill="none" stroke-width="2" {stroke}/>')
        if index < 8:
            at = _LEFT + index * (WIDTH - _LEFT) / 8
            name = escape(names.get(face_id, face_id)[:14])
            parts.append(f'<line x1="{at:.0f}" x2="{at + 28:.0f}" y1="{HEIGHT - 9}" y2="{HEIGHT - 9}" {stroke} '
                         f'stroke-width="3"/><text x="{at + 33:.0f}" y="{HEIGHT - 4}">{name}</text>')
    for number, (time, _) in enumerate(markers, 1):
        parts.append(f'<line x1="{x(time):.1f}" x2="{x(time):.1f}" y1="{_TOP}" y2="{bottom}" stroke="#222" '
                     f'stroke-dasharray="2 3"/><text x="{x(time) + 3:.1f}" y="{_TOP + 10}">{number}</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" font-family="system-ui, sans-serif" role="img" '
            f'aria-label="Valence of each face over time">{"".join(parts)}</svg>')


def _stretch(found: Sequence[float] | None) -> str:
    return f'{found[1] - found[0]:.1f} s from {clock(found[0])}' if found else 'none'
