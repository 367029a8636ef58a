import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest

from fer_ros.nodes.manager_bond import ManagerBond


class Bond:
    """Takes what bondpy 4's takes, and writes down what is done with it."""

    made: ClassVar[list] = []

    def __init__(self, topic, id, node, on_broken=None, on_formed=None):
        self.done = [(topic, id)]
        self.made.append(self)

    def __getattr__(self, name):
        if name not in ('set_heartbeat_period', 'set_heartbeat_timeout', 'start', 'shutdown'):
            raise AttributeError(name)
        return lambda *given: self.done.append((name, *given))


@pytest.fixture
def node():
    told = []
    return SimpleNamespace(get_name=lambda: 'fer', told=told,
                           get_logger=lambda: SimpleNamespace(debug=lambda text: told.append(text)))


def test_a_bond_has_the_node_s_name_and_ends_on_purpose(monkeypatch, node):
    package, module = ModuleType('bondpy'), ModuleType('bondpy.bondpy')
    module.Bond = Bond
    monkeypatch.setitem(sys.modules, 'bondpy', package)
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', module)
    monkeypatch.setattr(Bond, 'made', [])
    bond = ManagerBond(node)
    bond.close()
    bond.open()
    bond.close()
    bond.close()
    made, = Bond.made
    assert made.done == [('bond', 'fer'), ('set_heartbeat_period', 0.1), ('set_heartbeat_timeout', 4.0), ('start',),
                         ('shutdown',)]


def test_without_bondpy_there_is_none(monkeypatch, node):
    monkeypatch.setitem(sys.modules, 'bondpy', None)
    monkeypatch.setitem(sys.modules, 'bondpy.bondpy', None)
    bond = ManagerBond(node)
    bond.open()
    bond.close()
    assert 'no bond with a lifecycle manager' in node.told[0]
