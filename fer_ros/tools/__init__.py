"""Command-line programs that do not need ROS themselves."""
