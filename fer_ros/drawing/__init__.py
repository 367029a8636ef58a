"""Draws faces and valence over time with NumPy and OpenCV, without ROS."""
