"""The faces of a frame as the JavaScript of the page reads them."""

from fer_ros.drawing.colours import FaceColours
from fer_ros.emotions import EMOTIONS, GROUPS, group
from fer_ros.results.faces import FacesFrame
from fer_ros.web.theme import face_style


class FaceLines:
    """Makes a line of each frame of a sequence.

    Args:
        again: tell the style of every face in each line, for a reader that forgets faces; else when one first appears.
    """

    def __init__(self, again: bool = False) -> None:
        self._again = again
        self._known: set[str] = set()
        self._colours = FaceColours()

    def __call__(self, frame: FacesFrame, time_s: float) -> dict:
        """The faces of a frame for JSON.

        ``t`` is `time_s`, seconds since the first frame. ``faces`` has a list for each: id, emotion (an index of
        `EMOTIONS`), group (of `GROUPS`), confidence, valence, raw valence, quality, and x, y, width and height of the
        box relative to the size of the image. ``styles`` has the `face_style` of faces.
        """
        colours = self._colours(face.face_id for face in frame.faces)
        line: dict = {'t': round(time_s, 6), 'faces': [
            [face.face_id, EMOTIONS.index(face.emotion), GROUPS.index(group(face.probabilities)),
             *(round(float(value), 4) for value in (
                 face.confidence, face.valence, face.raw_valence, face.quality, face.box[0] / frame.width,
                 face.box[1] / frame.height, face.box[2] / frame.width, face.box[3] / frame.height))]
            for face in frame.faces]}
        if new := {i: face_style(colour) for i, colour in colours.items() if self._again or i not in self._known}:
            line['styles'] = new
            if not self._again:
                self._known |= new.keys()
        return line
