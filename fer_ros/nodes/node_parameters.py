"""Declares the tables of `fer_ros.parameters` as parameters of a node, validates changes and applies them."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from fer_ros.nodes.program import Stop
from fer_ros.parameters import Parameter, by_name, limits, problem

Instance = TypeVar('Instance')


class ParameterError(Stop):
    """A node was started with an invalid value; the message names the parameter and the allowed values."""


def declare(node: Node, table: Sequence[Parameter]) -> SimpleNamespace:
    """Declare every parameter of `table`.

    Returns:
        The values as attributes.

    Raises:
        ParameterError: a start-up value of the wrong type, out of range or not among the choices.
    """
    values = SimpleNamespace()
    for parameter in table:
        try:
            value: Any = node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter)).value
            if isinstance(value, bool) and 'true' in parameter.choices:  # unquoted in YAML
                value = str(value).lower()
        except InvalidParameterTypeException as error:
            kind = {bool: 'true or false', int: 'an integer', float: 'a number with a decimal point, such as 1.0',
                    str: 'a string'}[type(parameter.default)]
            raise ParameterError(f'parameter {parameter.name} must be {kind}') from error
        except InvalidParameterValueException as error:
            raise ParameterError(f'{parameter.name} must be {limits(parameter)}: {error.args[0]}') from error
        if text := problem(parameter, value):
            raise ParameterError(text)
        setattr(values, parameter.name, value)
    return values


def filled(kind: type[Instance], values: SimpleNamespace) -> Instance:
    """An instance of a dataclass whose fields are parameters, with their present values; other fields have defaults."""
    known: Any = kind
    return kind(**{field.name: getattr(values, field.name) for field in fields(known) if hasattr(values, field.name)})


def watch(node: Node, table: Sequence[Parameter], values: SimpleNamespace, changed: Callable[[], None],
          is_active: Callable[[], bool] = lambda: False) -> None:
    """Reject values that `table` does not allow, with the reason, and keep `values` up to date.

    Args:
        node: the node.
        table: its parameters.
        values: from `declare`.
        changed: called after `values` have changed.
        is_active: while it returns true, parameters that take effect at the configure transition are rejected.
    """
    known = by_name(table)

    def validate(new) -> SetParametersResult:
        for parameter in new:
            entry = known.get(parameter.name)
            if entry is None:
                continue
            if text := problem(entry, parameter.value):
                return SetParametersResult(successful=False, reason=text)
            if entry.at_configure and is_active() and parameter.value != getattr(values, entry.name):
                return SetParametersResult(successful=False, reason=(
                    f'{entry.name} takes effect when the node is configured: deactivate and clean up first '
                    f'(ros2 lifecycle set {node.get_fully_qualified_name()} deactivate, then cleanup)'))
        return SetParametersResult(successful=True)

    def apply(new) -> None:
        ours = [parameter for parameter in new if parameter.name in known]
        for parameter in ours:
            setattr(values, parameter.name, parameter.value)
        if ours:
            changed()

    node.add_on_set_parameters_callback(validate)
    node.add_post_set_parameters_callback(apply)


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    unit = f' [{parameter.unit}]' if parameter.unit else ''
    descriptor = ParameterDescriptor(description=parameter.description + unit, read_only=parameter.read_only,
                                     dynamic_typing='true' in parameter.choices)
    if parameter.choices:
        descriptor.additional_constraints = f'one of {limits(parameter)}'
    if parameter.range and isinstance(parameter.default, int):
        descriptor.integer_range = [IntegerRange(from_value=parameter.range[0], to_value=parameter.range[1], step=1)]
    elif parameter.range:
        low, high = map(float, parameter.range)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return descriptor
