"""The node `fer`: subscribes to an image topic and publishes the emotion and valence of its faces.

It is a lifecycle node: configure loads the models, activate subscribes, deactivate stops, cleanup releases the models.
"""

import dataclasses
import functools
import sys
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from fer_ros.diagnostic_keys import CALIBRATED_FACES, DEVICE, IMAGE_PROBLEMS, MODEL, RUNTIME, STATE
from fer_ros.nodes.diagnostics import Diagnostics, Level, Monitor, Report, Thresholds, image_topic
from fer_ros.nodes.frame_input import FrameInput
from fer_ros.nodes.humans_input import HumansInput
from fer_ros.nodes.image_conversion import ConversionError
from fer_ros.nodes.image_input import ImageInput
from fer_ros.nodes.latest_worker import LatestWorker, RateLimit
from fer_ros.nodes.libraries import load_in_background, missing
from fer_ros.nodes.lifecycle import refuse_untimely_transitions
from fer_ros.nodes.manager_bond import ManagerBond
from fer_ros.nodes.memory import give_memory_back
from fer_ros.nodes.neutral_baseline_services import NeutralBaselineServices
from fer_ros.nodes.node_parameters import declare, filled, watch
from fer_ros.nodes.output_selection import create_outputs
from fer_ros.nodes.outputs import Output, ProcessedFrame
from fer_ros.nodes.program import Stop, program, run
from fer_ros.parameters import FER_NODE
from fer_ros.perception import PipelineError
from fer_ros.perception.image_problems import ImageProblems
from fer_ros.perception.settings import PipelineSettings
from fer_ros.results.faces import FacesFrame

INPUTS: dict[str, Callable[[LifecycleNode, SimpleNamespace], FrameInput]] = {'image': ImageInput, 'humans': HumansInput}
"""Inputs by the value of the parameter input."""
LOG_PERIOD = 5.0
"""Minimum seconds between two log messages about the same problem."""
PROBLEMS_HALF_LIFE = 3.0
"""Seconds after which an image counts half in what is said of the images of late."""


@dataclasses.dataclass
class _Loaded:
    """What exists from the configure to the cleanup transition."""

    input: FrameInput
    pipeline: Any
    outputs: list[Output]


def _transition(method):
    """Log exceptions in a transition; rclpy itself discards them."""
    @functools.wraps(method)
    def logged(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return method(self, state)
        except Exception as error:
            self.failure = f'{method.__name__}: {error!r}'
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
    return logged


class FerNode(LifecycleNode):
    """The lifecycle node. `failure` holds the reason why the last transition failed.

    Images arrive in the thread of the executor and are processed in another, so that services and parameters respond at
    any time, and dropped frames can be counted.
    """

    def __init__(self, **kwargs):
        super().__init__('fer', **kwargs)
        refuse_untimely_transitions(self)
        self.failure = ''
        self.starting = False
        """Set during start-up, when a failure ends the program, which logs the reason."""
        self.monitor = Monitor()
        self._image_problems = ImageProblems(PROBLEMS_HALF_LIFE)
        self._loaded: _Loaded | None = None
        self._new_settings: PipelineSettings | None = None
        self._worker: LatestWorker | None = None
        self._limit = RateLimit()
        self._idle = False
        self._told_of_zero_stamp = False
        self._bond = ManagerBond(self)
        self.parameters = declare(self, FER_NODE)
        watch(self, FER_NODE, self.parameters, self._parameters_changed, lambda: self._worker is not None)
        self._baseline_services = NeutralBaselineServices(self)
        self._diagnostics = Diagnostics(self, self._report)

    # Transitions

    @_transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the models and create the outputs."""
        try:
            source = INPUTS[self.parameters.input](self, self.parameters)
            pipeline = source.create_pipeline(self._settings())
        except (PipelineError, ModuleNotFoundError) as error:
            self.failure = missing(error) if isinstance(error, ModuleNotFoundError) else str(error)
            if not self.starting:
                self.get_logger().error(f'not configured: {self.failure}')
            return TransitionCallbackReturn.FAILURE
        self.failure = ''
        recognizer = pipeline.recognizer
        self.get_logger().info(f'{recognizer.model_name} runs in {recognizer.runtime} on {recognizer.device} in '
                               f'{recognizer.precision}')
        self._loaded = _Loaded(source, pipeline, create_outputs(self, self.parameters, source.gives_images))
        return super().on_configure(state)

    @_transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        self.monitor.restart()
        self._image_problems.reset()
        self._limit = RateLimit(self.parameters.max_rate)
        self._idle = False
        loaded = self._configured
        self._baseline_services.activate(loaded.pipeline.baselines)
        self._worker = LatestWorker(functools.partial(self._process, loaded))
        loaded.input.open(functools.partial(self._on_frame, self._worker))
        self.get_logger().info(f'subscribed to {self._topic}')
        if not self.parameters.autostart:
            self._bond.open()
        return super().on_activate(state)

    @_transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, stop the worker and discard all tracks."""
        self._stop()
        self._configured.pipeline.reset()
        give_memory_back()
        return super().on_deactivate(state)

    @_transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release models and outputs."""
        self._release()
        return super().on_cleanup(state)

    @_transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release models and outputs."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, from where the node can be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker and release the models at the end of the program."""
        self._release()

    @property
    def _configured(self) -> _Loaded:
        if self._loaded is None:
            raise RuntimeError('the node is not configured')
        return self._loaded

    def _stop(self) -> None:
        self._bond.close()
        if self._loaded is not None:
            self._loaded.input.close()
        if self._worker is not None:
            self._baseline_services.deactivate()
            self._worker.stop()
            self._worker = None
            for output in self._configured.outputs:
                output.stop()

    def _release(self) -> None:
        self._stop()
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            for output in loaded.outputs:
                output.close()
            loaded.pipeline.close()
            del loaded
            give_memory_back()

    # Parameters

    def _settings(self) -> PipelineSettings:
        return filled(PipelineSettings, self.parameters)

    def _parameters_changed(self) -> None:
        self._limit.rate = self.parameters.max_rate
        if self._loaded is not None:
            self._new_settings = self._settings()  # applied by the worker between two frames

    # Frames

    def _on_frame(self, worker: LatestWorker, message: Any) -> None:
        self.monitor.received()
        self._idle = self.parameters.lazy and not any(output.wanted() for output in self._configured.outputs)
        if self._idle or not self._limit.take(time.monotonic()):
            self.monitor.skipped()
        elif worker.submit((message, self.get_clock().now().nanoseconds)):
            self.monitor.dropped()
            self.get_logger().info(
                f'{self.monitor.total("dropped")} of {self.monitor.total("received")} frames dropped: only the newest '
                'is processed', throttle_duration_sec=LOG_PERIOD)

    def _process(self, loaded: _Loaded, item: tuple[Any, int]) -> None:
        """Process a message and its time of receipt in nanoseconds, in the thread of the worker."""
        try:
            self._process_message(loaded, *item)
        except ConversionError as error:
            self._log_bad(error)
        except (RCLError, InvalidHandle) as error:
            if self.context.ok():  # otherwise the program is shutting down
                self._log_failure(error)
        except Exception as error:
            self._log_failure(error)

    def _process_message(self, loaded: _Loaded, message: Any, received_ns: int) -> None:
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        if stamp_ns == 0 and not self._told_of_zero_stamp:
            self._told_of_zero_stamp = True
            self.get_logger().warning(f'images on {self._topic} have no stamp: their time of receipt is used instead')
        seconds = (stamp_ns or received_ns) * 1e-9
        if self._new_settings is not None:
            settings, self._new_settings = self._new_settings, None
            loaded.pipeline.apply(settings)
        frame = loaded.input.classify(loaded.pipeline, message, seconds)
        for error in frame.bad_pictures:
            self._log_bad(error)
        result = frame.result
        faces = FacesFrame(stamp_ns, message.header.frame_id, frame.width, frame.height, result.faces, result.primary)
        for output in loaded.outputs:
            output.publish(ProcessedFrame(message.header, frame.image, faces, result))
        self._baseline_services.frame(result.primary, seconds)
        if frame.image is not None:
            self._image_problems.add(frame.image, result, seconds, self.parameters.rotate)
        latency = (self.get_clock().now().nanoseconds - stamp_ns) * 1e-9 if stamp_ns else None
        self.monitor.processed(latency, result.timings, len(result.faces))

    # Health

    def _report(self) -> Report:
        loaded = self._loaded
        subscription = loaded.input.subscription if loaded is not None else None
        if loaded is None or subscription is None:
            if self.failure:
                return Report(Level.ERROR, f'not configured: {self.failure}', {STATE: 'unconfigured'})
            state = 'unconfigured' if loaded is None else 'inactive'
            return Report(Level.OK, state, {STATE: state})
        thresholds = filled(Thresholds, self.parameters)
        pipeline = loaded.pipeline
        hints = self._image_problems.hints
        report = self.monitor.report(thresholds, image_topic(self, subscription), max_rate=self.parameters.max_rate,
                                     image_problems=hints, idle=self._idle)
        return dataclasses.replace(report, values={
            STATE: 'active', DEVICE: pipeline.recognizer.device, RUNTIME: pipeline.recognizer.runtime,
            'precision': pipeline.recognizer.precision, MODEL: pipeline.recognizer.model_name,
            CALIBRATED_FACES: ' '.join(pipeline.baselines.calibrated), IMAGE_PROBLEMS: '; '.join(hints),
            **report.values})

    @property
    def _topic(self) -> str:
        subscription = self._loaded.input.subscription if self._loaded is not None else None
        return subscription.topic_name if subscription is not None else 'image'

    def _log_bad(self, error: ConversionError) -> None:
        self.monitor.bad(str(error))
        self.get_logger().warning(f'frame on {self._topic} ignored: {error}', throttle_duration_sec=LOG_PERIOD)

    def _log_failure(self, error: Exception) -> None:
        text = str(error) if isinstance(error, PipelineError) else f'internal error: {error!r}'
        self.monitor.bad(text)
        self.get_logger().error(f'frame on {self._topic} cannot be processed: {text}', throttle_duration_sec=LOG_PERIOD)


def create() -> FerNode:
    """Create the node as the program runs it: active unless `autostart` is false.

    Raises:
        Stop: a parameter or model cannot be used; the message says why.
    """
    load_in_background()
    node = FerNode()
    if node.parameters.autostart:
        node.starting = True
        for transition in (node.trigger_configure, node.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                node.destroy_node()
                raise Stop(node.failure)
        node.starting = False
    return node


@program
def main(args: list[str] | None = None) -> int:
    """Entry point."""
    return run('fer', create, args)


if __name__ == '__main__':
    sys.exit(main())
