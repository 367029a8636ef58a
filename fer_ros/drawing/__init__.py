"""Pictures of faces and of valence over time: numpy and OpenCV, no ROS."""
