"""Faces in recordings: video files, rosbag2 and a camera; no ROS installation is needed for any."""
