"""config/sros2_policy.xml allows what the running nodes have, and nothing else."""

import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack

import pytest
from harness import ROOT, Program, Robot

from fer_ros.nodes import detections_output

NODES = ('fer', 'video_source', 'valence_plot', 'live_table', 'dashboard')
KINDS = {'publisher': ('topics', 'publish'), 'subscriber': ('topics', 'subscribe'), 'service': ('services', 'reply'),
         'client': ('services', 'request')}
# Of settings that exclude others, and of packages that need not be there.
OTHERWISE = {('dashboard', 'subscriber'): {'/fer/annotated'},
             ('fer', 'subscriber'): {'/image_raw/compressed'},
             ('fer', 'publisher'): set() if detections_output.available() else {'/fer/detections'}}


def profiles() -> dict[str, ElementTree.Element]:
    """Of each enclave's path."""
    root = ElementTree.parse(ROOT / 'config' / 'sros2_policy.xml').getroot()
    assert (root.tag, root.attrib) == ('policy', {'version': '0.2.0'})
    found = {}
    for enclave in root.findall('enclaves/enclave'):
        profile, = enclave.findall('profiles/profile')
        assert enclave.get('path') not in found
        found[enclave.get('path')] = profile
    return found


def allowed(profile: ElementTree.Element, kind: str) -> list[str]:
    element, attribute = KINDS[kind]
    node = f'/{profile.get("node")}'
    return [f'{node}{text[1:]}' if text.startswith('~/') else text if text.startswith('/') else f'/{text}'
            for rule in profile.findall(element) if attribute in rule.attrib for text in (e.text for e in rule)]


def test_every_program_has_an_enclave_that_only_allows():
    assert {path: (p.get('ns'), p.get('node')) for path, p in profiles().items()} == {
        f'/fer_ros/{name}': ('/', name) for name in NODES}
    for profile in profiles().values():
        for rule in profile:
            assert list(rule.attrib.values()) == ['ALLOW'], 'what is not allowed is denied'
        for kind in KINDS:
            names = allowed(profile, kind)
            assert len(names) == len(set(names))
            assert not [name for name in names if '*' in name]


def expected(name: str, kind: str) -> set[str]:
    """Endpoints that a node has here, as the policy says."""
    return set(allowed(profiles()[f'/fer_ros/{name}'], kind)) - OTHERWISE.get((name, kind), set())


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """Names of the endpoints of each node and kind, while all run as the launch file starts them."""
    folder = tmp_path_factory.mktemp('policy')
    robot = Robot()
    with ExitStack() as stack:
        for name in NODES:
            module, remap, parameters = name, (), {'use_sim_time': True}
            if name == 'fer':
                module, remap = 'fer_node', ('-r', 'image:=image_raw')
            elif name == 'valence_plot':
                parameters['window'] = False
            elif name == 'live_table':
                parameters['video'] = folder / 'a.mp4'
            elif name == 'dashboard':
                parameters['port'] = 0
            stack.enter_context(Program(folder / f'{name}.log', *remap, module=f'fer_ros.nodes.{module}', **parameters))
        node = robot.node

        def endpoints():
            return {(name, kind): {endpoint for endpoint, _ in getattr(
                        node, f'get_{kind}_names_and_types_by_node')(name, '/')}
                    for name in NODES for kind in KINDS}

        quiet = 0

        def settled():
            """What the policy lists is there and nothing more comes; or that has been so for long."""
            nonlocal quiet
            if set(NODES) - set(node.get_node_names()):
                return False
            before = endpoints()
            robot.spin(2.0)
            quiet = quiet + 1 if before == endpoints() else 0
            return quiet > 15 or (quiet and all(expected(*key) <= found for key, found in before.items()))
        robot.wait(settled, 'for all nodes')
        yield endpoints()
    robot.close()


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', NODES)
def test_the_policy_lists_exactly_what_a_node_has(graph, name, kind):
    assert graph[name, kind] == expected(name, kind)
    assert OTHERWISE.get((name, kind), set()) <= set(allowed(profiles()[f'/fer_ros/{name}'], kind))
