"""Facial emotion recognition for ROS 2: a camera image in, an emotion class and a valence per face out."""
