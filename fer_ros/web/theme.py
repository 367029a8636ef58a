"""How the page looks: colours that show on light and on dark, and its style sheet."""

from pathlib import Path

STYLE = Path(__file__).with_name('style.css').read_text(encoding='utf-8')
