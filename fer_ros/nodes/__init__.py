"""The ROS nodes: the only modules that use rclpy and message types."""
