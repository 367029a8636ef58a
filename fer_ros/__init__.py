"""Facial emotion recognition for ROS 2: a camera image in, an emotion class and a valence per face out."""

import os

# Official builds of ONNX Runtime from 1.29 on report to Microsoft what is run and on which machine, from their import
# on, unless this is set by then. Nothing of what is done here leaves the machine.
os.environ['ORT_DISABLE_TELEMETRY'] = '1'
