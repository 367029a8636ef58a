"""The results over time: faces of one frame, JSON, CSV, history. No ROS."""
