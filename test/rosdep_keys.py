"""Write down how rosdep resolves the keys of package.xml, for `test_rosdep_keys.py`.

    python test/rosdep_keys.py <checkout of https://github.com/ros/rosdistro>

Run it after a dependency has changed, or for a new ROS release, and look at the difference before committing it.
"""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RESOLVED = Path(__file__).with_name('rosdep_keys.json')
RELEASES = {'jazzy': 'noble', 'kilted': 'noble', 'lyrical': 'resolute'}
"""ROS release -> the Ubuntu that it is for."""


def dependencies() -> list[str]:
    """Every key of package.xml."""
    return sorted({element.text for element in ElementTree.parse(ROOT / 'package.xml').getroot()
                   if element.tag.endswith('depend')})


def packages(checkout: Path, release: str) -> dict[str, str]:
    """ROS packages of a release, with their versions."""
    repositories = yaml.safe_load((checkout / release / 'distribution.yaml').read_text())['repositories']
    return {package: repository['release']['version'] for name, repository in repositories.items()
            if 'version' in repository.get('release', {}) for package in repository['release'].get('packages', [name])}


def resolve(rule, system: str):
    """What rosdep installs on one Ubuntu: a list of apt packages, another installer with its packages, or None."""
    if isinstance(rule, dict) and not set(rule) & {'pip', 'apt'}:
        rule = rule.get(system, rule.get('*'))
    return rule.get('apt', {}).get('packages', rule) if isinstance(rule, dict) else rule


def main(checkout: Path) -> None:
    rules = {}
    for name in ('base', 'python'):
        rules |= yaml.safe_load((checkout / 'rosdep' / f'{name}.yaml').read_text())
    resolved = {}
    for release, system in RELEASES.items():
        released = packages(checkout, release)
        resolved[release] = {key: {'ros': released[key]} if key in released else
                             {'apt': resolve(rules.get(key, {}).get('ubuntu'), system)} for key in dependencies()}
    commit = subprocess.run(['git', '-C', checkout, 'log', '-1', '--format=%H %cs'], check=True, capture_output=True,
                            text=True).stdout.strip()
    source = f'https://github.com/ros/rosdistro {commit}'
    RESOLVED.write_text(json.dumps({'source': source, **resolved}, indent=1) + '\n')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
