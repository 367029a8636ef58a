"""Makes an ordinary video file of one that was written in fragments."""

import os
from contextlib import suppress
from pathlib import Path

from fer_ros.atomic_files import completed, partial
from fer_ros.media.file_names import library_name
from fer_ros.media.pyav import pyav, reason
from fer_ros.media.video_writer import INDEX_FIRST, kept_name


def make_whole(fragments: Path, path: Path) -> None:
    """Copy the frames of an .mp4 file in fragments to one with the index first; nothing is encoded again.

    What follows the last intact fragment of a file that was cut off is left out.

    Args:
        fragments: the file that `fer_ros.media.video_writer.VideoWriter` has written; it is removed.
        path: appears when it is complete; until then it is written under the name `partial` of it.

    Raises:
        OSError: there is no frame, or the file cannot be written. `fragments` is kept, there is no `path`.
        ValueError: `fragments` has that name itself.
    """
    if fragments == partial(path):
        raise ValueError(f'{fragments.name} would be overwritten')
    av = pyav()
    with completed(path) as temporary:
        try:
            file, folder = kept_name(temporary)
            try:
                with library_name(fragments) as name, av.open(f'file:{name}') as source, av.open(
                        f'file:{file}', 'w', format='mp4', options=INDEX_FIRST) as target:
                    given = source.streams.video[0]
                    stream = target.add_stream_from_template(given)
                    packets = source.demux(given)
                    with suppress(av.error.InvalidDataError, av.error.EOFError):  # from here on it was cut off
                        for packet in packets:
                            if packet.dts is not None and not packet.is_corrupt:
                                packet.stream = stream
                                target.mux(packet)
            finally:
                if folder is not None:
                    os.close(folder)
        except av.FFmpegError as error:
            raise OSError(getattr(error, 'errno', 0) or 0, f'the video cannot be completed: {reason(error)}',
                          str(fragments)) from error
        except IndexError:
            raise OSError(0, 'the video has no frame', str(fragments)) from None
    fragments.unlink()
