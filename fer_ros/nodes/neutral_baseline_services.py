"""The services ``~/calibrate_neutral`` and ``~/reset_calibration``."""

from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from std_srvs.srv import Trigger

from fer_ros.perception.neutral_baseline import DURATION, BaselineResult, NeutralBaselines

PATIENCE = 3.0
"""Seconds after which a calibration is aborted if images do not arrive, or arrive late."""


class NeutralBaselineServices:
    """Responds to ``~/calibrate_neutral`` with the outcome when the two seconds are over.

    The baseline is collected in the thread of the worker, which calls `frame`; requests arrive in that of the executor.
    """

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._baselines: NeutralBaselines | None = None
        self._request: Future | None = None
        self._started = False
        # A pending response would block everything else in the default callback group of the node.
        self._group = ReentrantCallbackGroup()
        node.create_service(Trigger, '~/calibrate_neutral', self._on_calibrate, callback_group=self._group)
        node.create_service(Trigger, '~/reset_calibration', self._on_reset)

    def activate(self, baselines: NeutralBaselines) -> None:
        """Accept requests for these baselines."""
        self._baselines = baselines

    def deactivate(self) -> None:
        """End a pending request, since the node is deactivated."""
        self._end(False, 'the node was deactivated')
        self._baselines = None

    def frame(self, primary: str | None, stamp: float) -> None:
        """Advance the calibration after a frame was processed.

        Args:
            primary: id of its primary face.
            stamp: seconds.
        """
        baselines, request = self._baselines, self._request
        if baselines is None or request is None or request.done():
            return
        if not self._started:
            if primary is None:
                self._end(False, 'no face to calibrate is in view')
            else:
                baselines.start(primary, stamp)
                self._started = True
        elif (result := baselines.finish(stamp)) is not None:
            self._answer(result)

    async def _on_calibrate(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._baselines is None:
            response.message = 'the node is not active'
        elif self._request is not None:
            response.message = 'another calibration is in progress: wait until it is done'
        else:
            self._started = False
            future: Future = Future(executor=self._node.executor)
            self._request = future
            timer = self._node.create_timer(DURATION + PATIENCE, lambda: self._end(
                False, f'no images for {DURATION:g} s: check the camera'), callback_group=self._group,
                clock=Clock(clock_type=ClockType.STEADY_TIME))
            answer: Any = await future
            response.success, response.message = answer
            self._node.destroy_timer(timer)
            self._request = None
        if response.success:
            self._node.get_logger().info(f'neutral calibration: {response.message}')
        else:
            self._node.get_logger().warning(f'no neutral calibration: {response.message}')
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._baselines is None:
            response.message = 'the node is not active'
            return response
        faces = ', '.join(self._baselines.calibrated)
        self._baselines.reset()
        self._end(False, 'the calibration was reset')
        response.success, response.message = True, f'discarded for: {faces}' if faces else 'no face was calibrated'
        self._node.get_logger().info(f'neutral calibration {response.message}')
        return response

    def _answer(self, result: BaselineResult) -> None:
        self._end(result.success, f'face {result.face_id}: {result.message}')

    def _end(self, success: bool, message: str) -> None:
        if self._baselines is not None:
            self._baselines.cancel(message)
        request = self._request
        if request is not None and not request.done():
            request.set_result((success, message))
            if self._node.executor is not None:
                self._node.executor.wake()
