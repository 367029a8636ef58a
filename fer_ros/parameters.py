"""Every parameter of every node, once: name, default, meaning, unit and range.

The nodes declare their parameters from these tables, and config/fer.yaml and the README are checked against them.
``python -m fer_ros.parameters`` prints them as Markdown, ``python -m fer_ros.parameters yaml`` as config/fer.yaml.
"""

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One node parameter; its type is its default's (bool, int, float or str)."""

    name: str
    default: bool | int | float | str
    description: str
    unit: str = ''
    range: tuple[float, float] | None = None
    """Smallest and largest value, both allowed."""
    choices: tuple[str, ...] = ()
    read_only: bool = False
    """Fixed when the node is created; all others may be changed later, structural ones while it is unconfigured."""
    at_configure: bool = False
    """Takes effect at the next configure transition: may be set, with a reason logged, only while not active."""


def by_name(table: Sequence[Parameter]) -> dict[str, Parameter]:
    """The parameters of `table` by their names."""
    return {parameter.name: parameter for parameter in table}


def defaults(table: Sequence[Parameter]) -> dict[str, Any]:
    """The default of every parameter of `table` by its name."""
    return {parameter.name: parameter.default for parameter in table}


def problem(parameter: Parameter, value: bool | int | float | str) -> str | None:
    """Why `value` is not allowed, naming the range or the choices; None when it is."""
    if parameter.range and not parameter.range[0] <= value <= parameter.range[1]:
        return f'{parameter.name} must be {limits(parameter)}, got {value}'
    if parameter.choices and value not in parameter.choices:
        return f'{parameter.name} must be one of {", ".join(parameter.choices)}, got {value!r}'
    return None


def limits(parameter: Parameter) -> str:
    """Range with unit, or the choices; empty where any value of the type is allowed."""
    if parameter.range:
        return '{:g} to {:g}'.format(*parameter.range) + (f' {parameter.unit}' if parameter.unit else '')
    if isinstance(parameter.default, bool):
        return 'true, false'
    return ', '.join(parameter.choices)


def when(parameter: Parameter) -> str:
    """At what time the parameter can be set: 'start', 'configure' or 'any'."""
    return 'start' if parameter.read_only else 'configure' if parameter.at_configure else 'any'


def markdown(table: Sequence[Parameter]) -> str:
    """`table` as a Markdown table."""
    rows = ['| parameter | default | values | set | meaning |', '| --- | --- | --- | --- | --- |']
    for p in table:
        description = p.description.replace('<', '&lt;')
        rows.append(f'| `{p.name}` | `{_yaml_value(p.default)}` | {limits(p)} | {when(p)} | {description} |')
    return '\n'.join(rows)


def yaml(nodes: dict[str, Sequence[Parameter]]) -> str:
    """A parameter file for `nodes` in any namespace, with every default, and its meaning, unit and range above it."""
    lines = ['# Every parameter with its default. Use: --ros-args --params-file <this file>, or params_file:= of the',
             '# launch file. Written by: python -m fer_ros.parameters yaml']
    times = {'start': 'Set at start only.', 'configure': 'Applies at configure.', 'any': ''}
    for name, table in nodes.items():
        lines += ['', f'/**/{name}:', '  ros__parameters:']
        for p in table:
            text = ' '.join(filter(None, (p.description, f'Values: {limits(p)}.' if limits(p) else '', times[when(p)])))
            lines += [f'    # {line}' for line in textwrap.wrap(text, 112)]
            lines.append(f'    {p.name}: {_yaml_value(p.default)}')
    return '\n'.join(lines) + '\n'


def _yaml_value(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value or "''" if isinstance(value, str) else repr(value)


FER_NODE = (
    Parameter('autostart', True, 'Configure and activate without a lifecycle manager; if that fails, the node ends.',
              read_only=True),
    Parameter('input', 'image', 'Where faces come from: the image topic, or another face detector that publishes them '
              'as ROS4HRI does (needs hri_msgs).', choices=('image', 'humans'), at_configure=True),
    Parameter('image_transport', 'raw', 'Type of the image subscription: sensor_msgs/Image on image, or '
              'sensor_msgs/CompressedImage on image/compressed.', choices=('raw', 'compressed'), at_configure=True),
    Parameter('model', '', 'Weights file (.safetensors); empty: the one that comes with the package.',
              at_configure=True),
    Parameter('device', 'auto', 'Where the network runs: auto, cpu, cuda or cuda:N. auto falls back to the CPU with a '
              'log line; cuda without a GPU is an error.', at_configure=True),
    Parameter('runtime', 'auto', 'What runs the network: auto takes ONNX Runtime on a CPU where it is installed, and '
              'torch elsewhere; onnxruntime runs on the CPU only.', choices=('auto', 'torch', 'onnxruntime'),
              at_configure=True),
    Parameter('threads', 2, 'CPU threads that share the faces of a frame, as far as there are processors.',
              range=(1, 64), at_configure=True),
    Parameter('detector', 'short', 'Face detector: MediaPipe short range (faces within about 2 m), full range (about '
              '5 m), or YuNet with detector_model.', choices=('short', 'full', 'yunet'), at_configure=True),
    Parameter('detector_model', '', 'Detector model file: required by yunet (.onnx); for short and full a BlazeFace '
              '.tflite that LiteRT runs, or empty for the installed one.', at_configure=True),
    Parameter('detection_confidence', 0.5, 'Faces found with a lower score are ignored. Where MediaPipe itself runs, '
              'it finds none below 0.5 (short) or 0.6 (full).', range=(0.05, 1.0)),
    Parameter('detect_every', 1, 'Look for faces in every so-manieth frame only, and take them to move on as they did '
              'in between: saves processor time, costs accuracy of the boxes.', range=(1, 30)),
    Parameter('max_faces', 16, 'At most this many faces are followed, largest first.', range=(1, 64)),
    Parameter('track_timeout', 1.0, 'A face not seen for this long loses its id.', 's', (0.05, 30.0)),
    Parameter('half_life', 0.3, 'Smoothing: after this time an old expression counts half. 0: no smoothing.', 's',
              (0.0, 10.0)),
    Parameter('primary_face', 'largest', 'Which face ~/emotion and ~/valence speak of: the largest, the longest '
              'followed, or the one nearest to the image centre.', choices=('largest', 'oldest', 'centre')),
    Parameter('primary_hold', 0.7, 'Another face becomes primary only after it was the better one for this long.', 's',
              (0.0, 10.0)),
    Parameter('max_rate', 0.0, 'Process at most this many frames per second. 0: every frame there is time for.', 'Hz',
              (0.0, 240.0)),
    Parameter('annotated', True, 'Publish ~/annotated while someone subscribes to it.'),
    Parameter('ros4hri', False, 'Publish the faces as ROS4HRI does, below <humans_namespace>/faces (needs hri_msgs).',
              at_configure=True),
    Parameter('humans_namespace', '/humans', 'Namespace of the ROS4HRI topics, read and written.', at_configure=True),
    Parameter('humans_grace', 2.0, 'Publishers and subscriptions of a face outlive it by this much.', 's',
              (0.0, 60.0), at_configure=True),
    Parameter('humans_picture', 'cropped', 'Which picture of a face input: humans reads.',
              choices=('cropped', 'aligned'), at_configure=True),
    Parameter('warn_image_age', 2.0, 'Diagnostics warn when no image came for this long. 0: never.', 's',
              (0.0, 3600.0)),
    Parameter('error_image_age', 10.0, 'Diagnostics report an error when no image came for this long. 0: never.', 's',
              (0.0, 3600.0)),
    Parameter('warn_rate', 5.0, 'Diagnostics warn when fewer frames per second are processed.', 'Hz', (0.0, 240.0)),
    Parameter('error_rate', 1.0, 'Diagnostics report an error when fewer frames per second are processed.', 'Hz',
              (0.0, 240.0)),
    Parameter('warn_latency', 0.3, 'Diagnostics warn when the median latency from image stamp to publishing reaches '
              'this. 0: never.', 's', (0.0, 3600.0)),
    Parameter('error_latency', 1.0, 'Diagnostics report an error at this median latency. 0: never.', 's',
              (0.0, 3600.0)),
    Parameter('warn_drops', 0.8, 'Diagnostics warn when there was no time for more than this part of the frames. 0: '
              'never.', range=(0.0, 1.0)),
)

VIDEO_SOURCE = (
    Parameter('video', '', 'Camera number (0), device (/dev/video0), video file or folder of pictures; empty or clip: '
              'the built-in clip.', read_only=True),
    Parameter('rate', 0.0, 'Frames per second; 0: that of the source (30 for pictures and the built-in clip).', 'Hz',
              (0.0, 240.0), read_only=True),
    Parameter('loop', True, 'Start again at the end of a file, folder or the built-in clip; else the node ends.',
              read_only=True),
    Parameter('width', 0, 'Width to ask a camera for, or of the built-in clip; 0: its own.', 'px', (0, 7680),
              read_only=True),
    Parameter('height', 0, 'Height likewise.', 'px', (0, 4320), read_only=True),
    Parameter('frame_id', 'camera', 'frame_id of the published headers.', read_only=True),
    Parameter('reliable', False, 'Publish with reliable instead of best-effort QoS.', read_only=True),
)

VALENCE_PLOT = (
    Parameter('window', 'auto', 'Show a window: auto (when there is a display), true or false.',
              choices=('auto', 'true', 'false'), read_only=True),
    Parameter('seconds', 30.0, 'Length of the rolling time axis.', 's', (1.0, 3600.0)),
    Parameter('rate', 10.0, 'Redraws per second.', 'Hz', (0.1, 60.0)),
    Parameter('min_life', 0.5, 'Faces followed for less than this are not drawn.', 's', (0.0, 60.0)),
    Parameter('width', 960, 'Width of the picture.', 'px', (320, 3840), read_only=True),
    Parameter('height', 400, 'Height of the picture.', 'px', (200, 2160), read_only=True),
    Parameter('output_dir', '', 'Where ~/save and the end of the node write PNG and CSV; empty: only ~/save writes, to '
              'the current folder.'),
)

LIVE_TABLE = (
    Parameter('rate', 4.0, 'Updates of the table per second.', 'Hz', (0.1, 30.0), read_only=True),
    Parameter('seconds', 0.0, 'End this long after the first frame; 0: go on.', 's', (0.0, 86400.0), read_only=True),
    Parameter('video', '', 'Record fer/annotated to this .mp4 file; empty: do not record.', read_only=True),
    Parameter('video_rate', 25.0, 'Frames per second of the recording; it keeps the time of the stamps.', 'Hz',
              (1.0, 120.0), read_only=True),
)

DASHBOARD = (
    Parameter('host', '127.0.0.1', 'Address that the page is served at. Any that other machines reach needs an '
              'access_token.', read_only=True),
    Parameter('port', 8080, 'Port of the page; 0: any free one, which the log names.', range=(0, 65535),
              read_only=True),
    Parameter('access_token', '', 'Secret of at least 12 characters that opens the page; empty: that of the '
              'environment variable FER_ROS_ACCESS_TOKEN, which unlike a parameter cannot be read over ROS, or none.',
              read_only=True),
    Parameter('allowed_hosts', '', 'Further names, separated by blanks, under which browsers reach the page.',
              read_only=True),
    Parameter('seconds', 60.0, 'Length of the live time axis.', 's', (5.0, 600.0), read_only=True),
    Parameter('image_rate', 15.0, 'Live pictures per second at most.', 'Hz', (0.5, 60.0), read_only=True),
    Parameter('image_width', 960, 'Live pictures are made no wider than this.', 'px', (160, 3840), read_only=True),
    Parameter('image_quality', 75, 'JPEG quality of live pictures.', range=(10, 95), read_only=True),
    Parameter('record_megabytes', 64, 'A recording ends at this size; an hour of one face at 30 frames per second has '
              '15 MB.', 'MB', (1, 1024), read_only=True),
    Parameter('upload_megabytes', 200, 'Largest video file that is taken.', 'MB', (1, 10000), read_only=True),
    Parameter('upload_seconds', 600.0, 'Longest video that is taken.', 's', (1.0, 36000.0), read_only=True),
    Parameter('upload_count', 4, 'At most this many videos are kept at a time.', range=(1, 100), read_only=True),
)

NODES = {'fer': FER_NODE, 'video_source': VIDEO_SOURCE, 'valence_plot': VALENCE_PLOT, 'live_table': LIVE_TABLE,
         'dashboard': DASHBOARD}
"""Parameters by default node name."""


if __name__ == '__main__':
    if sys.argv[1:] == ['yaml']:
        print(yaml(NODES), end='')
    else:
        print('\n\n'.join(f'#### {name}\n\n{markdown(table)}' for name, table in NODES.items()))
