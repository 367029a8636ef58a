"""Where pictures come from and go to: cameras, video files, the built-in clip, decoding, writing. No ROS."""
