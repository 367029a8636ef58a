"""Makes lifecycle nodes of rclpy robust against invalid transitions."""

from lifecycle_msgs.srv import ChangeState
from rclpy._rclpy_pybind11 import RCLError
from rclpy.lifecycle import LifecycleNode


def refuse_untimely_transitions(node: LifecycleNode) -> None:
    """Respond to a transition that the state does not allow with success false.

    rclpy raises an exception in the service instead, which ends the program: activating twice would be enough.
    """
    service = next(service for service in node.services if service.srv_name.endswith('/change_state'))
    change = service.callback

    def answer(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change(request, response)
        except RCLError as error:  # failures within a transition do not raise
            wanted = request.transition.label or request.transition.id
            node.get_logger().warning(f'transition {wanted} rejected: {str(error).splitlines()[0]}')
            response.success = False
            return response

    service.callback = answer
