"""Keeps the start-up messages of MediaPipe off the terminal, and nothing else."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Written by C++ code that no logging setting or environment variable of MediaPipe 0.10 controls.
_CHATTER = re.compile(
    rb'INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.'
    rb'|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR'
    rb'|W\d{4} .*inference_feedback_manager\.cc:\d+\] Feedback manager requires a model with a single signature'
    rb'|I\d{4} .*task_runner\.cc:\d+\] GPU suport is not available')


@contextmanager
def without_chatter() -> Iterator[None]:
    """Buffer standard error and write it afterwards without the lines known to be irrelevant.

    This affects the whole process, so it is intended for set-up only. If standard error is not a file descriptor,
    nothing is buffered.
    """
    try:
        sys.stderr.flush()
        terminal = os.dup(2)
    except (OSError, AttributeError, ValueError):
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            held.seek(0)
            with os.fdopen(terminal, 'wb') as out:
                shown = [line for line in held if not _CHATTER.match(line)]
                out.writelines(shown)
