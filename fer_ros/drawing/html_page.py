"""What self-contained HTML pages have in common: style, tables, and numbers as texts."""

from collections.abc import Mapping, Sequence
from html import escape

STYLE = '''
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2rem; break-after: avoid; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; break-inside: avoid; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ccc; vertical-align: top;
  overflow-wrap: anywhere; }
svg { width: 100%; height: auto; break-inside: avoid; } .faint { color: #595959; }
@page { margin: 16mm; } @media print { body { margin: 0; max-width: none; font-size: 10.5pt; } }
'''


def page(title: str, parts: Sequence[str], style: str = '') -> str:
    """A page that fetches nothing and runs no script.

    Args:
        title: text.
        parts: HTML.
        style: CSS after `STYLE`.
    """
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-'
            f'Policy" content="default-src \'none\'; style-src \'unsafe-inline\'"><style>{STYLE}{style}</style></head>'
            f'<body><main>{"".join(parts)}</main></body></html>\n')


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    cells = ''.join(f'<th scope="col">{escape(text)}</th>' for text in head)
    body = ''.join('<tr>' + ''.join(f'<td>{escape(text)}</td>' for text in row) + '</tr>' for row in rows)
    return f'<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>'


def clock(seconds: float) -> str:
    """``12:03.4``: minutes and seconds."""
    minutes, rest = divmod(round(10 * seconds), 600)
    return f'{minutes}:{rest / 10:04.1f}'


def mean_and_spread(person: Mapping) -> str:
    """Mean valence and spread in a summary, or a dash."""
    return '–' if person['mean_valence'] is None else f'{signed(person["mean_valence"])} ± {person["spread"]:.2f}'


def percent(fraction: float | None) -> str:
    """A fraction as ``12 %``, or a dash."""
    return '–' if fraction is None else f'{fraction:.0%}'.replace('%', ' %')


def share(part: float, whole: float) -> str:
    """`part` of `whole` as ``12 %``, or a dash."""
    return percent(part / whole if whole else None)


def signed(value: float, digits: int = 2) -> str:
    """``+0.12``, ``−0.12``, or 0 without a sign."""
    return f'{value:+.{digits}f}'.replace('-', '−') if round(value, digits) else f'{0:.{digits}f}'
