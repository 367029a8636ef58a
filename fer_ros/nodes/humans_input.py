"""ROS4HRI (REP-155) input: faces detected and tracked by another node, below ``/humans/faces``."""

import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Generic, TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fer_ros.media.grey_levels import GreyLevels
from fer_ros.nodes import qos
from fer_ros.nodes.frame_input import ClassifiedFrame
from fer_ros.nodes.humans_output import INSTALL, IdsList, NormalizedRegionOfInterest2D, available
from fer_ros.nodes.image_conversion import ConversionError, to_bgr
from fer_ros.nodes.per_face import PerFace
from fer_ros.perception import PipelineError
from fer_ros.perception.settings import PipelineSettings
from fer_ros.results import wire

Picture = TypeVar('Picture')

WAIT = 0.03
"""Seconds to wait for the other face images of an image."""
LOG_PERIOD = 5.0
"""Minimum seconds between two log messages about the same problem."""


class CropBatcher(Generic[Picture]):
    """Groups face images by the image they are from; each is returned once.

    Args:
        wait: seconds to wait for tracked faces that may not be in the image.
    """

    def __init__(self, wait: float = WAIT):
        self._wait = wait
        self._followed: frozenset[str] = frozenset()
        self._stamp: int | None = None
        self._since = 0.0
        self._pending: dict[str, Picture] = {}
        self._last_stamps: dict[str, int] = {}

    def follow(self, face_ids: Collection[str]) -> None:
        """Set the tracked faces; images of others are dropped."""
        self._followed = frozenset(face_ids)
        self._pending = {i: picture for i, picture in self._pending.items() if i in self._followed}
        self._last_stamps = {i: stamp for i, stamp in self._last_stamps.items() if i in self._followed}

    def add(self, face_id: str, stamp: int, picture: Picture, now: float) -> dict[str, Picture]:
        """Add a face image received at `now` (seconds), of the image with `stamp` (nanoseconds; 0: unknown).

        Returns:
            The face images of an earlier image that is completed by this one; usually none.
        """
        if face_id not in self._followed or (stamp and stamp == self._last_stamps.get(face_id)):
            return {}
        ended = {}
        if self._pending and (stamp != self._stamp or face_id in self._pending):
            ended = self._take()
        if not self._pending:
            self._stamp, self._since = stamp, now
        self._pending[face_id] = picture
        self._last_stamps[face_id] = stamp
        return ended

    def take(self, now: float) -> dict[str, Picture]:
        """Return the face images of an image if all have arrived or the waiting time is over, otherwise none."""
        if self._pending.keys() >= self._followed or now - self._since >= self._wait:
            return self._take()
        return {}

    @property
    def waiting(self) -> bool:
        """Whether face images are waiting."""
        return bool(self._pending)

    def _take(self) -> dict[str, Picture]:
        taken, self._pending = self._pending, {}
        return taken


@dataclass(frozen=True)
class Crops:
    """The face images of one image."""

    header: Header
    """Header of the image."""
    pictures: Mapping[str, Image]
    """Face images by face id; empty if no face is tracked."""
    boxes: Mapping[str, tuple[float, float, float, float]]
    """(x, y, width, height) relative to the image, as far as known."""
    followed: frozenset[str]
    """Ids of all tracked faces."""


def classify_crops(pipeline, crops: Crops, stamp: float,
                   levels: MutableMapping[str, GreyLevels] | None = None) -> ClassifiedFrame:
    """Process face images in a `CropPipeline`; one that cannot be decoded does not affect the others.

    Args:
        stamp: seconds.
        levels: scales 16-bit face images, by face id; those of faces that are not tracked any more are removed.
    """
    levels = {} if levels is None else levels
    for face_id in levels.keys() - crops.followed:
        del levels[face_id]
    pictures, bad = {}, []
    for face_id, message in crops.pictures.items():
        try:
            scale = levels.setdefault(face_id, GreyLevels())
            pictures[face_id] = to_bgr(message, functools.partial(scale, stamp=stamp))
        except ConversionError as error:
            bad.append(error)
    return ClassifiedFrame(pipeline.process(pictures, crops.boxes, crops.followed, stamp), bad_pictures=tuple(bad))


class HumansInput:
    """A `FrameInput` of face images: ``tracked``, and the images and regions of each face in it.

    The subscriptions of a face are created when its id first appears and destroyed some time after it has disappeared.

    Args:
        node: the node.
        parameters: humans_namespace, humans_picture and humans_grace are used.

    Raises:
        PipelineError: hri_msgs is not installed.
    """

    gives_images = False

    def __init__(self, node: LifecycleNode, parameters: SimpleNamespace):
        if not available():
            raise PipelineError(f'input is humans, but {INSTALL}')
        self._node = node
        self._parameters = parameters
        self._batcher: CropBatcher[Image] = CropBatcher()
        self._followed: frozenset[str] = frozenset()
        self._levels: dict[str, GreyLevels] = {}
        self.subscription: Subscription | None = None

    def create_pipeline(self, settings: PipelineSettings):
        """Create a `CropPipeline`."""
        from fer_ros.perception.crop_pipeline import CropPipeline  # imported late, as in image_input
        return CropPipeline(settings)

    def open(self, handle: Callable[[Crops], None]) -> None:
        """Subscribe to ``tracked``; each image yields one message, even without faces."""
        node, values = self._node, self._parameters
        self._handle = handle
        self._levels.clear()
        prefix = f'{values.humans_namespace.rstrip("/")}/faces'
        self._faces = PerFace(lambda face_id: _FaceSubscriptions(
            node, f'{prefix}/{face_id}', values.humans_picture, functools.partial(self._on_picture, face_id)),
            values.humans_grace)
        self.subscription = node.create_subscription(IdsList, f'{prefix}/tracked', self._on_tracked,
                                                     qos.latest_image(), qos_overriding_options=qos.overridable())
        self._timer = node.create_timer(WAIT, self._flush, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()  # runs only while face images are waiting

    def classify(self, pipeline, message: Crops, stamp: float) -> ClassifiedFrame:
        """Classify the face images; those that cannot be decoded are skipped. Raises PipelineError."""
        return classify_crops(pipeline, message, stamp, self._levels)

    def close(self) -> None:
        """Destroy all subscriptions."""
        if self.subscription is not None:
            self._node.destroy_timer(self._timer)
            self._node.destroy_subscription(self.subscription)
            self._faces.clear()
            self.subscription = None
            self._batcher, self._followed = CropBatcher(), frozenset()

    def _on_tracked(self, message: IdsList) -> None:
        self._followed = frozenset(self._valid(message.ids))
        self._faces.keep(self._followed)
        self._batcher.follow(self._followed)
        if self._followed:
            self._flush()
        else:
            self._handle(Crops(message.header, {}, {}, self._followed))

    def _valid(self, ids: Iterable[str]) -> Iterator[str]:
        """The ids that can be part of a topic name; the others are left out."""
        for face_id in ids:
            try:
                yield wire.face_id(face_id)
            except wire.BadValue as error:
                self._node.get_logger().warning(f'left out: {error}', throttle_duration_sec=LOG_PERIOD)

    def _on_picture(self, face_id: str, picture: Image) -> None:
        stamp = picture.header.stamp
        self._emit(self._batcher.add(face_id, stamp.sec * 1_000_000_000 + stamp.nanosec, picture, time.monotonic()))
        self._flush()

    def _flush(self) -> None:
        self._emit(self._batcher.take(time.monotonic()))
        if not self._batcher.waiting:
            self._timer.cancel()
        elif self._timer.is_canceled():
            self._timer.reset()

    def _emit(self, pictures: Mapping[str, Image]) -> None:
        if pictures:
            boxes = {i: box for i in pictures if (box := self._faces[i].box) is not None}
            self._handle(Crops(next(iter(pictures.values())).header, pictures, boxes, self._followed))


class _FaceSubscriptions:
    def __init__(self, node: LifecycleNode, prefix: str, picture: str, handle: Callable[[Image], None]):
        self.box: tuple[float, float, float, float] | None = None
        self._node = node
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._subscriptions = [
            node.create_subscription(Image, f'{prefix}/{picture}', handle, qos.latest_image(), event_callbacks=quiet),
            node.create_subscription(NormalizedRegionOfInterest2D, f'{prefix}/roi', self._on_region,
                                     qos.latest_image(), event_callbacks=quiet)]

    def _on_region(self, region: NormalizedRegionOfInterest2D) -> None:
        self.box = region.xmin, region.ymin, region.xmax - region.xmin, region.ymax - region.ymin

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
