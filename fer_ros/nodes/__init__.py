"""The ROS side: the only modules that know rclpy and message types."""
