"""Sources and sinks of images: cameras, video files, the built-in clip, decoding, writing. No ROS."""
