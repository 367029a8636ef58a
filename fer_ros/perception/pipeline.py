"""From a frame and its stamp to its faces and emotions: shared by node, demo and recordings."""

import numpy as np

from fer_ros.perception.face_follower import FaceFollower
from fer_ros.perception.frame_analyser import FrameAnalyser
from fer_ros.perception.neutral_baseline import NeutralBaselines
from fer_ros.perception.recognition import EmotionRecognizer
from fer_ros.perception.settings import STRUCTURAL, PipelineSettings, check
from fer_ros.results.frame_result import FrameResult

__all__ = ['FacePipeline', 'PipelineSettings']


class FacePipeline:
    """The two halves in one straight line: a `FrameAnalyser` finds and classifies, a `FaceFollower` follows.

    Must not be used from several threads at once.

    Args:
        settings: see `PipelineSettings`.

    Raises:
        PipelineError: the model, the device or the detector cannot be used (`RecognizerError`, `DetectorError`).
        ValueError: a setting is out of its range.
    """

    def __init__(self, settings: PipelineSettings | None = None):
        self.settings = settings or PipelineSettings()
        self.analyser = FrameAnalyser(self.settings)
        self.follower = FaceFollower(self.settings)

    @property
    def recognizer(self) -> EmotionRecognizer:
        """The network, with the device and the runtime that really run it."""
        return self.analyser.recognizer

    @property
    def baselines(self) -> NeutralBaselines:
        """The resting faces."""
        return self.follower.states.baselines

    def process(self, image: np.ndarray, stamp: float) -> FrameResult:
        """Find the faces of a frame and classify them.

        Args:
            image: uint8 (H, W, 3) BGR.
            stamp: time of capture, in seconds of any clock. Smoothing is reset when it jumps back or far ahead.

        Returns:
            The faces, with the timings of the stages detect, track, crop, recognise and smooth.

        Raises:
            ValueError: the image has another dtype or shape, or no pixels, or the stamp is not finite.
            PipelineError: the detector or the device fails on this frame; the next one may be processed.
        """
        return self.follower.follow(self.analyser.analyse(image, stamp), stamp)

    def apply(self, settings: PipelineSettings) -> None:
        """Change settings while running; tracks and their state are kept.

        Raises:
            ValueError: a setting is out of its range, or one of `STRUCTURAL` differs, which requires a new pipeline.
        """
        check(settings)
        fixed = [name for name in STRUCTURAL if getattr(settings, name) != getattr(self.settings, name)]
        if fixed:
            raise ValueError(f'{", ".join(fixed)} cannot change in a running pipeline: create a new one')
        self.analyser.apply(settings)
        self.follower.apply(settings)
        self.settings = settings

    def reset(self) -> None:
        """Discard all tracks, as for another video."""
        self.analyser.reset()
        self.follower.reset()

    def close(self) -> None:
        """Release detector and network; the pipeline cannot be used afterwards. May be called repeatedly."""
        self.analyser.close()

    def __enter__(self) -> 'FacePipeline':
        return self

    def __exit__(self, *exception) -> None:
        self.close()
