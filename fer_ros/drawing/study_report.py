"""A study as one self-contained HTML page: all its sessions, and two groups of them compared."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from fer_ros.drawing.colours import FACE_COLOURS, NEUTRAL
from fer_ros.drawing.html_page import clock, mean_and_spread, page, percent, share, signed
from fer_ros.drawing.valence_plot import NEUTRAL_BAND
from fer_ros.emotions import EMOTIONS, GROUPS
from fer_ros.results import wire
from fer_ros.results.group_comparison import FEW, FEWEST, LEVEL, Comparison, compare
from fer_ros.results.session_summary import USABLE
from fer_ros.results.study import Study, StudySession

_COLOURS = dict(zip(EMOTIONS, ('#{2:02x}{1:02x}{0:02x}'.format(*colour) for colour in (
    FACE_COLOURS[1], FACE_COLOURS[2], FACE_COLOURS[3], FACE_COLOURS[4], FACE_COLOURS[0], FACE_COLOURS[5], NEUTRAL)),
    strict=True))
_GROUP_COLOURS = ('first', 'second')
_MOST_TOLD = 10
"""Files that are named of those left out."""
_STYLE = '''
:root { --back: #fff; --text: #222; --faint: #595959; --rule: #ccc; --grid: #bbb; --band: #eee; --first: #0072b2;
  --second: #b84300; }
@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; --back: #16181b; --text: #e4e4e4;
  --faint: #a8a8a8; --rule: #45484d; --grid: #5a5e64; --band: #26292e; --first: #56b4e9; --second: #f08a4b; } }
body { color: var(--text); background: var(--back); max-width: 68rem; } .faint { color: var(--faint); }
th, td { border-color: var(--rule); } td { vertical-align: middle; } table { break-inside: auto; margin-top: .5rem; }
tr { break-inside: avoid; } thead { display: table-header-group; } .wide { overflow-x: auto; }
.number { text-align: right; white-space: nowrap; padding-right: 1rem; } .name { min-width: 6rem; }
.line { width: 17rem; min-width: 9rem; } .bar { width: 11rem; min-width: 7rem; } svg { display: block; }
.strip svg { min-width: 36rem; }
text { fill: var(--text); } .grid { stroke: var(--grid); } .band { fill: var(--band); }
.first { stroke: var(--first); fill: var(--first); } .second { stroke: var(--second); fill: var(--second); }
.other { stroke: var(--text); fill: var(--text); } .thin { fill: none; stroke-width: 1.5; stroke-linecap: round; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em; print-color-adjust: exact; }
svg * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.told { border-left: 4px solid var(--first); padding-left: .8rem; }
@media print { .wide { overflow: visible; } .line { width: 11rem; } .bar { width: 7rem; min-width: 5rem; }
  body { font-size: 9.5pt; } .strip svg { min-width: 0; } table { font-size: 7.5pt; } .number { padding-right: .4rem; }
  th.number { white-space: normal; overflow-wrap: normal; } .name { min-width: 4rem; } }
'''


def study_report(title: str, study: Study, groups: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        title: name of the study.
        study: at least one session.
        groups: two groups, by name of the session; without, nothing is compared.
    """
    groups = groups or {}
    names = list(dict.fromkeys(groups.values()))
    classes = {session.name: _GROUP_COLOURS[names.index(groups[session.name])] if session.name in groups else 'other'
               for session in study.sessions}
    recordings = [session for session in study.sessions if not session.photos]
    photos = sum(session.photos for session in study.sessions)
    length = clock(sum(session.summary['duration_s'] for session in recordings))
    parts = [
        f'<h1>{_text(title)}</h1>',
        f'<p>{_plural(len(study.sessions), "session")}'
        + (f', {length} (minutes:seconds) of recordings' if recordings else '')
        + (f', {_plural(photos, "photo")}' if photos else '') + '.</p>',
        *_left_out(study),
        *(_comparison(study, groups, names) if len(names) == 2 else ()),
        '<h2>Sessions</h2>', _sessions(study, groups, classes),
        '<p class="faint">The line is the mean valence of all faces from the start to the end of a session, from +1 '
        f'(top) to −1; within the band (±{NEUTRAL_BAND:.2f}) it is neutral. Mean and spread (standard deviation) are '
        'over the time with a face. Usable is the share of this time in which the faces can be seen well enough '
        f'(quality of at least {USABLE:g}); emotions of faces below that are guesses.</p>',
        '<h2>Share of the time with a face per emotion</h2>', _key(), _emotions(study.sessions),
        '<h2>Share of the time with a face per group of emotions</h2>', _wide(('', *GROUPS), [
            (_text(session.name), *(_of(session, 'groups', name) for name in GROUPS)) for session in study.sessions]),
        '<p class="faint">Valence is the probability of happy minus those of angry, disgusted, scared and sad, from −1 '
        'to +1. Emotions are what a network estimates that people would see in a face, not what a person feels. Of '
        'photos, each face counts once.</p>']
    return page(wire.shown(title), parts, _STYLE)


def _text(text: str) -> str:
    return escape(wire.shown(text))


def _plural(count: int, word: str) -> str:
    return f'{count} {word}' + ('' if count == 1 else 's')


def _left_out(study: Study) -> list[str]:
    parts = []
    for told, items in (('not finished', study.unfinished), ('of other programs', study.foreign),
                        ('damaged', study.damaged)):
        if items:
            more = f' and {len(items) - _MOST_TOLD} more' if len(items) > _MOST_TOLD else ''
            parts.append(f'<p><b>Left out, since {told}:</b> {"; ".join(map(_text, items[:_MOST_TOLD]))}{more}.</p>')
    warned = [session for session in study.sessions if session.warning]
    if warned:
        parts.append('<p><b>With problems:</b></p><ul>' + ''.join(
            f'<li>{_text(session.name)}: {_text(session.warning)}</li>' for session in warned) + '</ul>')
    return parts


def _comparison(study: Study, groups: Mapping[str, str], names: Sequence[str]) -> list[str]:
    members = [[s for s in study.sessions if groups.get(s.name) == name] for name in names]
    values = [[s.summary['all']['mean_valence'] for s in group if s.summary['all']['mean_valence'] is not None]
              for group in members]
    without = sum(map(len, members)) - sum(map(len, values))
    outside = len(study.sessions) - len(groups)
    found = compare(values[0], values[1])
    rows = []
    for name, group, known in zip(names, members, values, strict=True):
        seen = [s.summary['all'] for s in group if s.summary['all']['seconds']]
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
        rows.append((_text(name), str(len(known)), signed(float(np.mean(known))) if known else '–',
                     '–' if deviation is None else f'{deviation:.2f}',
                     *(_mean([s['emotions'][emotion] / s['seconds'] for s in seen]) for emotion in EMOTIONS),
                     _mean([1 - s['unusable'] for s in seen])))
    parts = [f'<h2>{_text(names[0])} and {_text(names[1])} compared</h2>',
             '<div class="told">' + ''.join(f'<p>{text}</p>' for text in _meaning(names, values, found)) + '</div>',
             _strip(names, values, found), _wide(('', 'sessions', 'mean valence', 'SD', *EMOTIONS, 'usable'), rows)]
    notes = ['Each session counts once, with its mean valence, however long it is; means and shares of a group are '
             'those of its sessions, SD is the standard deviation between them.']
    if without:
        notes.append(f'{_plural(without, "session")} without a face cannot be compared.')
    if outside > 0:
        notes.append(f'{_plural(outside, "session")} without a group cannot be compared.')
    return [*parts, f'<p class="faint">{" ".join(notes)}</p>']


def _mean(fractions: Sequence[float]) -> str:
    return percent(float(np.mean(fractions)) if fractions else None)


def _meaning(names: Sequence[str], values: Sequence[Sequence[float]], found: Comparison | None) -> list[str]:
    """What the comparison says, in sentences."""
    first, second = map(_text, names)
    if found is None:
        empty = ' and '.join(_text(name) for name, known in zip(names, values, strict=True) if not known)
        return [f'<b>Nothing can be compared:</b> no session of {empty} has a face.']
    towards = 'more positive' if found.difference > 0 else 'more negative'
    told = [f'The mean valence of the sessions of <b>{second}</b> is <b>{abs(found.difference):.2f} {towards}</b> than '
            f'that of <b>{first}</b> ({signed(found.difference)} on a scale from −1 to +1)'
            if round(abs(found.difference), 2) else
            f'The mean valences of the sessions of <b>{second}</b> and <b>{first}</b> differ by less than 0.005']
    if found.interval is None:
        told[0] += '.'
        told.append(f'<b>Too few sessions:</b> {len(values[0])} and {len(values[1])}. With fewer than {FEWEST} in a '
                    'group it cannot be told whether this is more than chance.')
        return told
    low, high = found.interval
    told[0] += f'; {LEVEL:.0%} confidence interval {signed(low)} to {signed(high)}.'.replace('%', ' %')
    if low <= 0 <= high:
        told.append('The interval includes 0: these sessions do not show that the groups differ. That is no evidence '
                    'that they are alike; differences as large as the ends of the interval are compatible with them.')
    else:
        told.append('The interval does not include 0: such a difference would be unusual if the sessions came from '
                    'groups that do not differ. Whether what separates the groups is its cause, the numbers cannot '
                    'tell: light, camera and people may differ too.')
    if found.effect is not None:
        told.append(f'Effect size: Hedges’ g = {signed(found.effect)}, by convention {found.size}: the difference in '
                    'standard deviations between sessions.')
    if min(map(len, values)) < FEW:
        told.append(f'<b>Few sessions:</b> {len(values[0])} and {len(values[1])}. With fewer than {FEW} in a group the '
                    'interval is an indication only, and single sessions can turn the result.')
    told.append('The interval (bootstrap over sessions) holds for sessions that are independent of each other: several '
                'of one person are not.')
    return told


def _strip(names: Sequence[str], values: Sequence[Sequence[float]], found: Comparison | None) -> str:
    """The means of all sessions as dots, those of the groups as lines, and the interval of the difference below."""
    def x(value: float) -> float:
        return 160 + (value + 1) / 2 * 820
    parts = [f'<rect class="band" x="{x(-NEUTRAL_BAND):.1f}" y="6" width="{820 * NEUTRAL_BAND:.1f}" height="88"/>']
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="6" y2="94"/>'
                     f'<text x="{x(tick):.1f}" y="110" text-anchor="middle">{signed(tick, 1)}</text>')
    for row, (name, known) in enumerate(zip(names, values, strict=True)):
        y, colour = 28 + 44 * row, _GROUP_COLOURS[row]
        parts.append(f'<text x="150" y="{y + 4}" text-anchor="end">{escape(wire.shown(name, 20))}</text>')
        parts += [f'<circle class="{colour}" cx="{x(value):.1f}" cy="{y}" r="5" fill-opacity=".45"/>'
                  for value in known]
        if known:
            mean = x(float(np.mean(known)))
            parts.append(f'<line class="{colour}" x1="{mean:.1f}" x2="{mean:.1f}" y1="{y - 16}" y2="{y + 16}" '
                         'stroke-width="3"/>')
    height = 118
    if found is not None and found.interval is not None:
        low, high = (x(max(-1.0, min(1.0, end))) for end in found.interval)
        middle = x(max(-1.0, min(1.0, found.difference)))
        parts.append('<text x="150" y="140" text-anchor="end">difference</text>'
                     f'<line class="grid" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="120" y2="152"/>'
                     f'<line class="other" x1="{low:.1f}" x2="{high:.1f}" y1="136" y2="136" stroke-width="2"/>'
                     f'<circle class="other" cx="{middle:.1f}" cy="136" r="5"/>')
        height = 156
    return (f'<div class="wide strip"><svg viewBox="0 0 1000 {height}" font-size="13" '
            'font-family="system-ui, sans-serif" role="img" aria-label="Mean valence of each session by group">'
            f'{"".join(parts)}</svg></div>')


def _sessions(study: Study, groups: Mapping[str, str], classes: Mapping[str, str]) -> str:
    rows = []
    for session in study.sessions:
        everyone = session.summary['all']
        rows.append((
            _text(session.name), *((_text(groups.get(session.name, '–')),) if groups else ()),
            _plural(session.photos, 'photo') if session.photos else clock(session.summary['duration_s']),
            '–' if session.photos else share(session.summary['duration_s'] - session.summary['without_face_s'],
                                             session.summary['duration_s']),
            mean_and_spread(everyone), percent(None if everyone['unusable'] is None else 1 - everyone['unusable']),
            _line(session, classes[session.name])))
    return _wide(('', *(('group',) if groups else ()), 'length', 'with a face', 'mean valence ± spread', 'usable',
                  'valence over time'), rows, {'valence over time': 'line', 'group': 'name'})


def _line(session: StudySession, colour: str) -> str:
    """The line of a session, over its own length."""
    if not session.line:
        return '–'

    def y(valence: float) -> float:
        return 3 + (1 - valence) / 2 * 54
    end = max(session.end_s, 0.1)
    lines = ''
    for run in session.line:
        points = [f'{time / end * 300:.1f},{y(valence):.1f}' for time, valence in run]
        lines += f'<polyline class="{colour} thin" points="{" ".join(points * (2 if len(points) == 1 else 1))}"/>'
    return (f'<svg viewBox="0 0 300 60" role="img" aria-label="Valence over time of {_text(session.name)}">'
            f'<rect class="band" width="300" y="{y(NEUTRAL_BAND):.1f}" height="{54 * NEUTRAL_BAND:.1f}"/>'
            f'<line class="grid" x2="300" y1="30" y2="30"/>{lines}</svg>')


def _key() -> str:
    return '<p>' + ''.join(f'<span class="key" style="background:{_COLOURS[name]}"></span>{name}'
                           for name in EMOTIONS) + '</p>'


def _emotions(sessions: Sequence[StudySession]) -> str:
    rows = []
    for session in sessions:
        start, bars, total = 0.0, '', session.summary['all']['seconds']
        for name in EMOTIONS:
            width = 200 * session.summary['all']['emotions'][name] / total if total else 0.0
            bars += f'<rect x="{start:.2f}" width="{width:.2f}" height="16" fill="{_COLOURS[name]}"/>' if width else ''
            start += width
        bar = (f'<svg viewBox="0 0 200 16" role="img" aria-label="Emotions of {_text(session.name)}">{bars}</svg>'
               if bars else '–')
        rows.append((_text(session.name), bar, *(_of(session, 'emotions', name) for name in EMOTIONS)))
    return _wide(('', 'all', *EMOTIONS), rows, {'all': 'bar'})


def _of(session: StudySession, kind: str, name: str) -> str:
    return share(session.summary['all'][kind][name], session.summary['all']['seconds'])


def _wide(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Mapping[str, str] | None = None) -> str:
    """A table of HTML that can be scrolled sideways; the first column has names, those without a class numbers."""
    kinds = ['name', *((classes or {}).get(text, 'number') for text in head[1:])]
    cells = ''.join(f'<th scope="col" class="{kind}">{text}</th>' for kind, text in zip(kinds, head, strict=True))
    body = ''.join('<tr>' + ''.join(f'<td class="{kind}">{cell}</td>' for kind, cell in zip(kinds, row, strict=True))
                   + '</tr>' for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
