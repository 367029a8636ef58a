"""The web page of the node `dashboard`. No ROS."""
