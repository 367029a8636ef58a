"""What the documents promise is what the code does."""

import json
import re
from pathlib import Path

import pytest

from fer_ros.media.image_decoding import ENCODINGS
from fer_ros.results.faces import SCHEMA_VERSION, decode, encode

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')), *sorted((ROOT / 'models').glob('*.md'))]


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


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', document.read_text(encoding='utf-8')):
        if not target.startswith(('http://', 'https://')):
            assert (document.parent / target).exists(), f'{document.name} leads to {target}'
