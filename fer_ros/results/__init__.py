"""What was found in faces, over time: one frame, its JSON, the table, the history. No ROS."""
