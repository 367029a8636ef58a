"""Programs without ROS."""
