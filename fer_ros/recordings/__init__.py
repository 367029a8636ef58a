"""Analysis of recordings: video files, rosbag2 and cameras, without a ROS installation."""
