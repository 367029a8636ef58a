"""What the documents promise is what the code does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

from fer_ros.emotions import EMOTIONS
from fer_ros.media.built_in_clip import portraits
from fer_ros.media.image_decoding import ENCODINGS
from fer_ros.results.faces import SCHEMA_VERSION, decode, encode

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md')),
             *sorted((ROOT / 'models').glob('*.md'))]


def test_example_of_the_faces_message_is_one_and_all_its_fields_are_described():
    text = (ROOT / 'docs' / 'faces.md').read_text(encoding='utf-8')
    example = re.search(r'```json\n(.*?)```', text, re.DOTALL)[1]
    frame = decode(example)
    assert json.loads(encode(frame)) == json.loads(example)
    assert f'Schema version {SCHEMA_VERSION}' in text
    described = set(re.findall(r'^\| `(\w+)`', text, re.MULTILINE))
    data = json.loads(example)
    assert described == set(data) | set(data['faces'][0])


def test_every_encoding_is_told():
    text = (ROOT / 'docs' / 'configuration.md').read_text(encoding='utf-8').partition('## Image encodings')[2]
    for name in ENCODINGS:
        if '16' not in name or 'UC' in name or name.startswith('mono'):
            assert f'`{name}`' in text or name.startswith('bayer_')


def python_blocks(document: Path) -> list[str]:
    return re.findall(r'```python\n(.*?)```', document.read_text(encoding='utf-8'), re.DOTALL)


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_can_be_compiled(document):
    for block in python_blocks(document):
        compile(block, document.name, 'exec')


def test_the_example_of_the_readme_finds_the_faces_of_the_clip():
    (example,) = python_blocks(ROOT / 'README.md')
    assert len(example.splitlines()) <= 10
    done = subprocess.run([sys.executable, '-c', example], cwd=ROOT, env=dict(os.environ), text=True, timeout=300,
                          capture_output=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) > 480 and {int(row[0]) for row in rows} > set(range(200))
    assert all(row[2] in EMOTIONS and -1 <= float(row[3]) <= 1 for row in rows)


def test_the_example_of_the_pipeline_prints_emotion_and_valence(capsys, shipped_model):
    example = python_blocks(ROOT / 'docs' / 'perception.md')[0]
    exec(compile(example, 'perception.md', 'exec'), {'image': portraits()['astronaut'], 'stamp': 0.0})
    emotion, valence = capsys.readouterr().out.split()
    assert emotion == 'happy' and float(valence) > 0.2


def test_the_animation_is_small_enough_to_be_loaded_with_the_readme():
    with PIL.Image.open(ROOT / 'docs' / 'images' / 'demo.webp') as animation:
        assert animation.n_frames > 100
    assert (ROOT / 'docs' / 'images' / 'demo.webp').stat().st_size < 2_000_000


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', document.read_text(encoding='utf-8')):
        if not target.startswith(('http://', 'https://')):
            assert (document.parent / target).exists(), f'{document.name} leads to {target}'


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_links_to_sections_lead_to_one(document):
    for target, section in re.findall(r'\]\(([^)#:]*)#([^)]+)\)', document.read_text(encoding='utf-8')):
        text = (document.parent / target if target else document).read_text(encoding='utf-8')
        headings = [re.sub(r'[^\w\- ]', '', line.lstrip('#').strip().lower()).replace(' ', '-')
                    for line in text.splitlines() if line.startswith('#')]
        assert section in headings, f'{document.name} leads to {target}#{section}'
