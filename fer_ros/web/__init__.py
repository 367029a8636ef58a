"""The page of the node `dashboard`: what is read in faces, in the browser. No ROS."""
