"""vision_msgs output: each face as a detection with the seven emotions as hypotheses."""

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from fer_ros.emotions import EMOTIONS
from fer_ros.nodes import qos
from fer_ros.nodes.outputs import Output, ProcessedFrame
from fer_ros.results.faces import FaceEmotion

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose
except ImportError:
    Detection2DArray = None


def available() -> bool:
    """Whether vision_msgs is installed."""
    return Detection2DArray is not None


class DetectionsOutput(Output):
    """``~/detections`` (vision_msgs/Detection2DArray) while there are subscribers, even without a face."""

    def __init__(self, node: LifecycleNode):
        self._node = node
        self._publisher = node.create_lifecycle_publisher(Detection2DArray, '~/detections', qos.result(),
                                                          qos_overriding_options=qos.overridable())

    def publish(self, frame: ProcessedFrame) -> None:
        """Publish a frame."""
        if self.wanted():
            detections = [detection(face, frame.header) for face in frame.result.faces]
            self._publisher.publish(Detection2DArray(header=frame.header, detections=detections))

    def wanted(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._publisher.get_subscription_count())

    def close(self) -> None:
        """Destroy all publishers."""
        self._node.destroy_lifecycle_publisher(self._publisher)


def detection(face: FaceEmotion, header: Header):
    """Convert `face` to vision_msgs/Detection2D.

    The bbox is in pixels, and there is one hypothesis for each of `EMOTIONS`, the most probable first.
    """
    x, y, width, height = face.box
    message = Detection2D(header=header, id=face.face_id)
    message.bbox.center.position.x, message.bbox.center.position.y = x + width / 2, y + height / 2
    message.bbox.size_x, message.bbox.size_y = float(width), float(height)
    ranked = sorted(zip(face.probabilities, EMOTIONS, strict=True), reverse=True)
    message.results = [ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=emotion, score=probability))
                       for probability, emotion in ranked]
    return message
